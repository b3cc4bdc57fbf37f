"""A pool of worker threads, without waitress' warning about each request that waits."""

import threading
from collections.abc import Callable
from typing import Protocol

from waitress.task import ThreadedTaskDispatcher


class Work(Protocol):
    """One piece of work for a thread."""

    def service(self) -> None:
        """Do it; an exception is logged."""
        ...

    def cancel(self) -> None:
        """The server stops before its turn came."""
        ...


class WorkerPool(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress ships no types, and is extended so
    """So many threads and one queue."""

    def __init__(self, name: str, threads: int) -> None:
        super().__init__()
        self._name = name
        self.set_thread_count(threads)

    @property
    def waiting(self) -> int:
        """How many pieces of work have no thread yet."""
        return len(self.queue)

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        """Start a thread with a name that tells the listener."""
        name = f"{self._name}-{thread_no}"
        threading.Thread(target=target, name=name, args=(thread_no,), daemon=True).start()

    def add_task(self, task: Work) -> None:
        """Queue it."""
        with self.lock:
            self.queue.append(task)
            self.queue_cv.notify()
