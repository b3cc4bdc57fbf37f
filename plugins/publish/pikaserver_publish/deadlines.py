"""An end to exchanges that are neither idle nor ever done."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = 20
"""So many times the time in which nothing may happen is the time of a whole exchange."""


@contextmanager
def deadline(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection when the block takes longer.

    Raises:
        TimeoutError: it did; what was read by then may be half of something.
    """
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        # Past TLS, which would want to say goodbye.
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if passed.is_set():
            raise TimeoutError(f"no end after {seconds:.0f} seconds")
