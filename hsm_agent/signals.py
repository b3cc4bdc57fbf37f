"""Signals as a queue: they wake whoever waits, whichever thread the kernel gave them to."""

import select
import signal
import socket
from collections import deque
from collections.abc import Sequence


class Signals:
    """For the main thread, once in a process; nothing is done within a handler."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._here, there = socket.socketpair()
        self._there = there
        self._here.settimeout(0)
        there.settimeout(0)
        # A lock that the main thread waits for is not released by a signal that another thread
        # got; this octet is written by the handler of the C library, in whatever thread.
        signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
        self._numbers = set(numbers)
        self._found: deque[int] = deque()
        for number in numbers:
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float | None) -> int | None:
        """Return the next signal, ``None`` where none comes in time."""
        if not self._found and select.select([self._here], [], [], seconds)[0]:
            self._found += [one for one in self._here.recv(4096) if one in self._numbers]
        return self._found.popleft() if self._found else None

    def close(self) -> None:
        """Let signals do again what they do by themselves."""
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        self._here.close()
        self._there.close()
