"""The threads that answer requests; readers never wait for a token."""

import logging
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

Job = Callable[[], None]


class Workers:
    """Up to ``threads`` jobs run at once, and more wait; threads begin when they are needed.

    No more than ``window`` requests wait or run; a job may be several of them.
    """

    def __init__(self, threads: int, window: int) -> None:
        self._most = threads
        self._window = window
        self._jobs: deque[tuple[Job, int]] = deque()
        self._requests = 0
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._emptied = threading.Condition(lock)
        self._threads = 0
        self._free = 0
        self._running = 0
        self._closed = False

    def submit(self, job: Job, requests: int = 1) -> bool:
        """Have a job done; return ``False`` when too many requests wait already."""
        with self._changed:
            if self._closed or self._requests + requests > self._window:
                return False
            self._requests += requests
            self._jobs.append((job, requests))
            if self._free < len(self._jobs) and self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name="worker", daemon=True).start()
            else:
                self._changed.notify()
            return True

    def reserve(self, requests: int) -> int:
        """Take places for requests whose job begins later; return for how many there was room."""
        with self._changed:
            free = 0 if self._closed else self._window - self._requests
            taken = max(0, min(requests, free))
            self._requests += taken
            return taken

    def release(self, requests: int) -> None:
        """Give such places back."""
        with self._changed:
            self._requests -= requests

    def waiting(self) -> int:
        """Return how many requests wait or run."""
        with self._changed:
            return self._requests

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing waits or runs; return whether it came to that."""
        with self._emptied:
            return self._emptied.wait_for(lambda: not self._running and not self._jobs, seconds)

    def close(self) -> None:
        """Take nothing more; what runs still ends."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()
            self._emptied.notify_all()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            deed, requests = job
            try:
                deed()
            except Exception:  # noqa: BLE001 - one request must not take the next one's thread
                _log.exception("a request could not be answered")
            finally:
                with self._changed:
                    self._running -= 1
                    self._requests -= requests
                    self._emptied.notify_all()

    def _next(self) -> tuple[Job, int] | None:
        with self._changed:
            self._free += 1
            self._changed.wait_for(lambda: self._closed or self._jobs)
            self._free -= 1
            if self._closed:
                return None
            self._running += 1
            return self._jobs.popleft()
