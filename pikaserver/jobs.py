"""Periodic work: of several nodes, one runs a job at a time, and each period once.

The database knows when a job ran last and who runs it now.  A lease lasts a minute and is
renewed while the job works, so that another node takes over soon after a crash.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from pikaserver.api.errors import NotFound, Unavailable
from pikaserver.api.operations import Clock, Job
from pikaserver.api.storage import Database
from pikaserver.secrecy import without_secrets

LEASE = timedelta(seconds=60)
RENEWAL = LEASE / 3
RETRY = timedelta(seconds=15)
"""After how long a job that another node runs, or that could not start, is looked at again."""
LONGEST_WAIT = timedelta(seconds=5)
"""A step of the clock is noticed after this time at the latest."""
THREADS = 2
LONGEST_ERROR = 1000

_log = logging.getLogger(__name__)


class Lease(Protocol):
    """What is known of a job's last run."""

    @property
    def name(self) -> str:
        """The job."""
        ...

    @property
    def last_run_at(self) -> datetime | None:
        """When a run of it ended last, on any node."""
        ...


class Leases(Protocol):
    """The leases in the database; ``pikaserver.storage.leases`` is one."""

    def acquire(
        self, connection: Connection, name: str, holder: str, now: datetime, until: datetime
    ) -> bool:
        """Take a lease that is free, expired or ours; tell whether it is ours now."""
        ...

    def release(
        self, connection: Connection, name: str, holder: str, *, at: datetime, error: str | None
    ) -> bool:
        """Give a lease back and note how the run ended."""
        ...

    def list(self, connection: Connection) -> Sequence[Lease]:
        """Return all leases."""
        ...


class JobRunner:
    """Runs jobs when they are due: one thread looks at the clock, a small pool works."""

    def __init__(
        self,
        database: Database,
        leases: Leases,
        clock: Clock,
        jobs: Sequence[Job],
        holder: str,
        pool: Executor | None = None,
    ) -> None:
        self._database = database
        self._leases = leases
        self._clock = clock
        self._jobs = {job.name: job for job in jobs}
        self._holder = holder
        self._pool = pool or ThreadPoolExecutor(THREADS, thread_name_prefix="job")
        self._due = dict.fromkeys(self._jobs, clock())
        self._wanted: set[str] = set()
        self._renewed: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to look at the clock; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing more, and return when what runs has ended."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)

    def run_now(self, name: str) -> None:
        """Let a job run as soon as no node runs it, however long its period still lasts.

        Raises:
            NotFound: there is no such job.
        """
        if name not in self._jobs:
            raise NotFound(f"there is no job {name!r}")
        with self._lock:
            self._wanted.add(name)
            self._due[name] = min(self._due[name], self._clock())
        self._wake.set()

    def tick(self) -> timedelta:
        """Start what is due and renew the leases of what runs; return how long to wait."""
        now = self._clock()
        for name in self._take_due(now):
            self._pool.submit(self._run, self._jobs[name])
        self._renew(now)
        with self._lock:
            idle = [due for name, due in self._due.items() if name not in self._renewed]
        return max(min([due - now for due in idle] + [LONGEST_WAIT]), timedelta())

    def _watch(self) -> None:
        while not self._stopping:
            wait = self.tick()
            self._wake.wait(wait.total_seconds())
            self._wake.clear()

    def _take_due(self, now: datetime) -> list[str]:
        with self._lock:
            names = [name for name in self._due if name not in self._renewed]
            names = [name for name in names if self._is_due(name, now)]
            self._renewed.update(dict.fromkeys(names, now))
        return names

    def _is_due(self, name: str, now: datetime) -> bool:
        """Tell whether to look at a job; a time beyond its period means a clock set back."""
        ahead = self._due[name] - now
        return ahead <= timedelta() or ahead > max(self._jobs[name].every, RETRY)

    def _run(self, job: Job) -> None:
        due = self._clock() + RETRY
        try:
            due = self._attempt(job)
        except Unavailable as error:
            _log.warning("job postponed", extra={"job": job.name, "error": str(error)})
        except Exception:  # noqa: BLE001 - the job runner is one of the three places for it
            _log.exception("job postponed", extra={"job": job.name})
        finally:
            with self._lock:
                self._due[job.name] = due
                del self._renewed[job.name]
            self._wake.set()

    def _attempt(self, job: Job) -> datetime:
        """Run a job if it is this node's turn; return when to look at it again."""
        now = self._clock()
        with self._database.transaction() as connection:
            if not self._leases.acquire(connection, job.name, self._holder, now, now + LEASE):
                return now + min(job.every, RETRY)
            last = self._last_run(connection, job.name)
            # A last run in the future means that the clock was put back: it counts for nothing.
            if last is not None and last <= now < last + job.every and job.name not in self._wanted:
                self._leases.acquire(connection, job.name, self._holder, now, now)
                return last + job.every
        with self._lock:
            self._wanted.discard(job.name)
        error = _work(job)
        ended = self._clock()
        with self._database.transaction() as connection:
            self._leases.release(connection, job.name, self._holder, at=ended, error=error)
        with self._lock:
            return ended if job.name in self._wanted else ended + job.every

    def _last_run(self, connection: Connection, name: str) -> datetime | None:
        rows = self._leases.list(connection)
        return next((lease.last_run_at for lease in rows if lease.name == name), None)

    def _renew(self, now: datetime) -> None:
        """Keep the leases of jobs that take longer than a lease lasts."""
        with self._lock:
            names = [name for name, at in self._renewed.items() if now - at >= RENEWAL]
            self._renewed.update(dict.fromkeys(names, now))
        for name in names:
            try:
                with self._database.transaction() as connection:
                    self._leases.acquire(connection, name, self._holder, now, now + LEASE)
            except Unavailable as error:
                _log.warning("lease not renewed", extra={"job": name, "error": str(error)})


def _work(job: Job) -> str | None:
    """Run a job; return what went wrong."""
    try:
        job.run()
    except Exception as error:  # noqa: BLE001 - the job runner is one of the three places
        _log.exception("job failed", extra={"job": job.name})
        return without_secrets(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]
    return None
