"""One thread per target, so that one that is slow or away keeps no other waiting."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from pikaserver.api.errors import Unavailable
from pikaserver.api.operations import CertificateRevoked, CrlIssued, Event
from pikaserver.publishing.ground import Ground
from pikaserver.publishing.items import Supply
from pikaserver.publishing.ledger import LEASE
from pikaserver.publishing.queue import TargetQueue

LOOK_SECONDS = 1.0
"""How often to look whether another process changed something."""
STORAGE_AWAY_SECONDS = 5.0
STOP_SECONDS = 10.0
"""How long a delivery may still take when the server stops; the next start makes it anew."""

_log = logging.getLogger(__name__)


class Worker:
    """The thread of one target: sleeps until there is something new, or a retry is due."""

    def __init__(self, queue: TargetQueue, ground: Ground) -> None:
        self.queue = queue
        self.supply: Supply | None = None
        self.busy_since: float | None = None
        self._ground = ground
        self._wake = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=f"publish-{queue.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to wait for something to push."""
        self._thread.start()

    def offer(self, supply: Supply) -> None:
        """Look at once whether this has something for the target."""
        self.supply = supply
        self._wake.set()

    def stop(self) -> None:
        """Push nothing more; what is being pushed may end."""
        self.queue.stopping = True
        self._wake.set()

    def join(self, seconds: float) -> None:
        """Wait for the thread to end."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _work(self) -> None:
        wait: float | None = None
        while not self.queue.stopping:
            self._wake.wait(wait)
            self._wake.clear()
            if self.supply is not None and not self.queue.stopping:
                wait = self._round(self.supply)

    def _round(self, supply: Supply) -> float | None:
        """Run the queue once; return after how many seconds to look again."""
        self.busy_since = time.monotonic()
        try:
            return self._seconds_until(self.queue.run(supply))
        except Unavailable as error:
            _log.warning("cannot publish", extra={"target": self.queue.name, "error": str(error)})
        except Exception:  # noqa: BLE001 - a job runner's thread must not end
            _log.exception("cannot publish", extra={"target": self.queue.name})
        finally:
            self.busy_since = None
        return STORAGE_AWAY_SECONDS

    def _seconds_until(self, moment: datetime | None) -> float | None:
        if moment is None:
            return None
        return max((moment - self._ground.clock()).total_seconds(), 0.0)


class Publishing:
    """Looks for what is new, and wakes the targets' threads."""

    def __init__(
        self, queues: Sequence[TargetQueue], ground: Ground, changes: Callable[[], int]
    ) -> None:
        self.workers = [Worker(queue, ground) for queue in queues]
        self._ground = ground
        self._changes = changes
        self._seen: int | None = None
        self._renewed = time.monotonic()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="publish", daemon=True)

    def start(self) -> None:
        """Begin; without a target there is nothing to do."""
        if not self.workers:
            return
        for worker in self.workers:
            worker.start()
        self._thread.start()

    def stop(self) -> None:
        """Push nothing more, and wait a while for what is being pushed."""
        self._stopping = True
        self._wake.set()
        for worker in self.workers:
            worker.stop()
        until = time.monotonic() + STOP_SECONDS
        for worker in self.workers:
            worker.join(max(until - time.monotonic(), 0.0))
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def notice(self, event: Event) -> None:
        """See ``pikaserver.api.operations.Observer``: what was signed here goes out at once."""
        if isinstance(event, CrlIssued | CertificateRevoked):
            self._wake.set()

    def _watch(self) -> None:
        while not self._stopping:
            try:
                self._look()
                self._renew()
            except Unavailable as error:
                self._seen = None
                _log.warning("cannot look what to publish", extra={"error": str(error)})
            except Exception:  # noqa: BLE001 - a job runner's thread must not end
                self._seen = None
                _log.exception("cannot look what to publish")
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _look(self) -> None:
        before, now = self._seen, self._changes()
        if now == before:
            return
        self._seen = now
        supply = self._ground.supply()
        for worker in self.workers:
            worker.offer(supply)

    def _renew(self) -> None:
        """Keep the leases of deliveries that take longer than a lease lasts."""
        now = time.monotonic()
        if now - self._renewed < LEASE.total_seconds() / 3:
            return
        self._renewed = now
        for worker in self.workers:
            if worker.queue.holds_lease:
                worker.queue.ledger.acquire()
