"""Several processes that write to one SQLite file take turns."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.pool import PoolProxiedConnection

_POLL_SECONDS = 0.001
_PATIENCE_SECONDS = 2.0


class Turnstile:
    """Lets whoever waits to write go next.

    SQLite wakes nobody: who waits looks again after a while, up to 100 ms, and a busy process
    has begun its next transaction long before.  So whoever waits holds a lock on the folder
    meanwhile, and the busy process waits in front of it in its turn.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        """Begin to write; ``do_begin`` of SQLAlchemy's dialects."""
        with self._next():
            # A deferred transaction that starts to write fails when another one wrote meanwhile.
            dbapi_connection.cursor().execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Forget the folder; a later use opens it anew."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @contextmanager
    def _next(self) -> Iterator[None]:
        descriptor = self._hold()
        try:
            yield
        finally:
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _hold(self) -> int | None:
        """Wait for the lock; who holds it for too long is passed by, as SQLite has its own."""
        try:
            descriptor = self._opened()
            end = time.monotonic() + _PATIENCE_SECONDS
            while time.monotonic() < end:
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return descriptor
                time.sleep(_POLL_SECONDS)
        except OSError:  # a file system without locks, or a folder that cannot be listed
            return None
        return None

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._descriptor
