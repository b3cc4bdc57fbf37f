"""Answers of a worker that wait for each other, so that many wake their reader once."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from hsm_agent.stores.pkcs11.pipe import text
from hsm_agent.wire.encoding import Value

MOST = 8
"""Answers that go together: while those of one lot are taken away, the token has another one."""
LONGEST_SECONDS = 0.01
"""For so long a lot is added to, also while the token takes its time for the next signature."""


class Lot:
    """Signatures that nobody has been given yet; one thread adds, another one may `watch`."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._answers: list[bytes] = []
        self._since = 0.0
        self._lock = threading.Lock()
        self._kept = threading.Event()

    def begin(self, request: Mapping[str, Value]) -> None:
        """Take in that a request is begun; nothing waits for what may take long."""
        if not _is_quick(request):
            self.give()
        if not self._answers:
            self._since = time.monotonic()

    def add(self, request: Mapping[str, Value], answer: bytes, *, more: bool) -> None:
        """Give an answer, or keep it for the next one; ``more`` tells whether another one comes."""
        with self._lock:
            self._answers.append(answer)
            full = len(self._answers) >= MOST
        if self._late() or not more or full or not _is_quick(request):
            self.give()
        elif not self._kept.is_set():
            self._kept.set()

    def give(self) -> None:
        """Send what was kept."""
        with self._lock:
            if self._answers:
                self._send(b"".join(self._answers))
                self._answers.clear()

    def watch(self) -> None:
        """Give what is late while the token is busy, or hangs, until nobody is there any more."""
        # Whoever adds will find the same.
        with suppress(OSError):
            while self._kept.wait():
                time.sleep(LONGEST_SECONDS)
                self._kept.clear()
                if self._late():
                    self.give()
                elif self._answers:
                    self._kept.set()

    def _late(self) -> bool:
        return time.monotonic() - self._since >= LONGEST_SECONDS


def _is_quick(request: Mapping[str, Value]) -> bool:
    """Tell signatures from all else; one with a PIN must be known to be done at once."""
    return text(request, "do") == "sign" and "pin" not in request
