"""One target's pages in the database: who works at it, what it has, what failed.

Of several nodes one pushes at a time, under a lease.  A node that slept through the end of its
lease may wake up amid a delivery and put an older CRL over a newer one.  It notices when it
notes the outcome, and the newest one is pushed once more.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from pikaserver.publishing.deliveries import Delivery
from pikaserver.publishing.ground import Ground
from pikaserver.publishing.items import place_version
from pikaserver.storage import leases, publications
from pikaserver.storage.publications import STATUSES, WHOLE_TARGET, Item, Publication

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reads and writes the pages of one target; ``node`` is 0 where one pushes for all."""

    ground: Ground
    target: str
    node: int
    place: str

    @property
    def _lease(self) -> str:
        return f"publish.{self.target}" + (f".{self.node}" if self.node else "")

    def read(self) -> dict[Item, Publication]:
        """Return how far the target is with each item.

        At another place than last time it has nothing yet, and no failure counts.
        """
        with self.ground.database.reading() as connection:
            known = publications.read(connection, self.target, self.node)
        if self._moved(known):
            return {item: row for item, row in known.items() if item.kind == STATUSES}
        return known

    def acquire(self) -> bool:
        """Take the lease, or renew it; ``False`` when another node works at the target."""
        now = self.ground.clock()
        with self.ground.database.transaction() as connection:
            return leases.acquire(connection, self._lease, self.ground.holder, now, now + LEASE)

    def release(self) -> None:
        """Give the lease back."""
        now = self.ground.clock()
        with self.ground.database.transaction() as connection:
            leases.release(connection, self._lease, self.ground.holder, at=now)

    def begin(self) -> None:
        """Note where the target is now; at another place everything is pushed anew."""
        with self.ground.database.transaction() as connection:
            known = publications.read(connection, self.target, self.node)
            if WHOLE_TARGET in known and not self._moved(known):
                return
            publications.forget(connection, self.target, self.node)
            new = Publication(self.target, self.node, WHOLE_TARGET, place_version(self.place))
            publications.replace(connection, None, new)

    def note_success(
        self, item: Item, row: Publication | None, done: Delivery
    ) -> Publication | None:
        """Note what the target has; ``None`` when another node was at it meanwhile."""
        now = self.ground.clock()
        new = Publication(self.target, self.node, item, done.version, done.number, now)
        with self.ground.database.transaction() as connection:
            ours = leases.acquire(connection, self._lease, self.ground.holder, now, now + LEASE)
            if ours and publications.replace(connection, row, new):
                return new
            publications.push_again(connection, self.target, self.node, item)
        return None

    def note_failure(self, item: Item, error: str) -> Publication:
        """Note that an item, or the target as a whole, refused; return how it is with it now."""
        now, patience = self.ground.clock(), self.ground.patience
        row = self.read().get(item)
        old = row or Publication(self.target, self.node, item)
        failures = old.failures + 1
        new = replace(
            old,
            failures=failures,
            failing_since=old.failing_since or now,
            retry_at=now + patience.wait(failures, self.ground.entropy),
            error=error,
        )
        with self.ground.database.transaction() as connection:
            publications.replace(connection, row, new)
        return new

    def note_reached(self) -> None:
        """Note that the target answers (again)."""
        row = self.read().get(WHOLE_TARGET)
        if row is None or not row.failures:
            return
        new = replace(row, failures=0, failing_since=None, retry_at=None, error=None)
        with self.ground.database.transaction() as connection:
            publications.replace(connection, row, new)

    def _moved(self, known: dict[Item, Publication]) -> bool:
        row = known.get(WHOLE_TARGET)
        return row is not None and row.version != place_version(self.place)
