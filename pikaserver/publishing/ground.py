"""What every target's queue stands on: the server's facts, and when to try again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pikaserver.api.certificates import Authorities, CertificateRecord
from pikaserver.api.crls import Crls
from pikaserver.api.operations import Clock, Entropy, Event
from pikaserver.api.storage import Database
from pikaserver.authority.events import Events
from pikaserver.publishing.items import Supply
from pikaserver.storage import authorities as authority_storage
from pikaserver.storage import certificates, publications

_JITTER = 256
_BATCH = 100
"""Certificates whose new status is pushed at a time."""


@dataclass(frozen=True, slots=True)
class Patience:
    """When to try again, and after how many failures in a row to call a person."""

    first_retry: timedelta = timedelta(seconds=2)
    longest_retry: timedelta = timedelta(minutes=5)
    alarm_after: int = 5

    @property
    def longest_wait(self) -> timedelta:
        """The longest time that `wait` can return."""
        return self.longest_retry * 1.25

    def wait(self, failures: int, entropy: Entropy) -> timedelta:
        """Return how long to wait after so many failures: twice as long each time.

        A quarter more or less, so that what failed together does not come back together.
        """
        doubled = self.first_retry * (1 << min(failures - 1, 30))
        share = 0.75 + entropy(1)[0] / (2 * _JITTER)
        return min(doubled, self.longest_retry) * share


@dataclass(frozen=True, slots=True)
class Changed:
    """Certificates whose status changed, in that order, and the number of the last change."""

    records: Sequence[CertificateRecord]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The server as the queues see it; ``holder`` names this process in leases."""

    database: Database
    authorities: Authorities
    crls: Crls
    events: Events
    clock: Clock
    entropy: Entropy
    node: int
    holder: str
    patience: Patience = Patience()

    def supply(self) -> Supply:
        """Return the newest of everything that is pushed."""
        records = [self.authorities.get(name) for name in self.authorities.names()]
        with self.database.reading() as connection:
            counts = {
                generation.id: authority_storage.revocations(connection, generation.id)
                for record in records
                for generation in record.generations
            }
        return Supply(self.crls.summaries(), records, counts)

    def count(self, generation_id: int) -> int:
        """Return how many revocations and releases a generation has seen."""
        with self.database.reading() as connection:
            return authority_storage.revocations(connection, generation_id)

    def changed(self, generation_id: int, after: int) -> Changed | None:
        """Return certificates whose status changed after a number, if any."""
        with self.database.reading() as connection:
            found = publications.changed_certificates(connection, generation_id, after, _BATCH)
            now = self.clock()
            records = [certificates.get(connection, one, now) for _, one in found]
        return Changed(records, found[-1][0]) if found else None

    def announce(self, event: Event) -> None:
        """Tell the observers."""
        self.events.announce(event)
