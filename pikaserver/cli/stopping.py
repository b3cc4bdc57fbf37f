"""SIGINT and SIGTERM, told to a program that waits: none is lost, none comes at a bad moment."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPED_BY = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have ``stop`` called, in a thread of its own, for each signal that ends a program.

    Python runs handlers in the main thread, as soon as that can.  A lock that it waits for is not
    opened by a signal that another thread got, and an event that a handler sets may be the one
    whose lock the main thread holds right then.  So the handler of the C library writes an octet,
    in whatever thread, and it is read here.
    """
    here, there = socket.socketpair()
    there.settimeout(0)
    wakeup = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in STOPPED_BY}
    watch = threading.Thread(target=_watch, args=(here, stop), name="signals", daemon=True)
    watch.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        there.close()
        watch.join()


def _watch(here: socket.socket, stop: Callable[[], None]) -> None:
    with here:
        while octets := here.recv(64):
            if any(octet in STOPPED_BY for octet in octets):
                stop()
