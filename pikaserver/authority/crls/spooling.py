"""The entries of a CRL: read in one pass over the database, kept in a scratch file."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from typing import BinaryIO

from sqlalchemy import Connection

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.storage import Database
from pikaserver.asn1.crl import Entries, entry, in_memory, spool
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.crls.scopes import leaves_parts, shard_of
from pikaserver.storage import authorities, revocations
from pikaserver.storage.crls import CrlRow

TOLD_EVERY = 50_000
"""Entries after which somebody is told how far a long CRL is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose entries are read, as of when; ``base`` is the full CRL that a delta goes with."""

    key: IssuingKey
    scope: str
    number: int
    base: CrlRow | None
    now: datetime

    @property
    def repeats_base(self) -> bool:
        """Whether it is a delta made together with its full CRL, under the same number."""
        return self.base is not None and self.number == self.base.number


def spooled(
    database: Database, wanted: Wanted, file: BinaryIO, tell: Callable[[int], None]
) -> tuple[Entries, int]:
    """Read the entries, and how many revocations they stand for, in one view.

    A delta with its full CRL's number says the same as that (RFC 5280 section 5.2.4), so it
    is empty: a verifier passes it over, and would miss what was revoked since.
    """
    if wanted.base is not None and wanted.repeats_base:
        return in_memory(()), wanted.base.revocations
    with database.reading() as connection:
        seen = authorities.revocations(connection, wanted.key.generation.id)
        return spool(_counted(_entries(connection, wanted), tell), file), seen


@contextmanager
def scratch_file() -> Iterator[BinaryIO]:
    """Give a file that has no name and goes away.

    Raises:
        StorageUnavailable: there is no room for it.
    """
    try:
        with TemporaryFile() as file:
            yield file
    except OSError as error:
        raise StorageUnavailable(f"the entries of a CRL found no room: {error.strerror}") from error


def _entries(connection: Connection, wanted: Wanted) -> Iterator[bytes]:
    generation_id, settings = wanted.key.generation.id, wanted.key.settings
    keep, shard = settings.crl_keep_expired, shard_of(wanted.scope)
    rest = leaves_parts(settings)
    if wanted.base is not None:
        return _changes(connection, generation_id, wanted.base.revocations, rest=rest)
    if shard is not None:
        return revocations.shard_entries(
            connection, generation_id, shard, wanted.now, keep_expired=keep
        )
    return revocations.all_entries(
        connection, generation_id, wanted.now, keep_expired=keep, without_shards=rest
    )


def _changes(
    connection: Connection, generation_id: int, base: int, *, rest: bool
) -> Iterator[bytes]:
    """Yield what a delta tells: what was revoked since, and what was released from hold."""
    yield from revocations.entries_since(connection, generation_id, base, without_shards=rest)
    released = revocations.released_since(connection, generation_id, base, without_shards=rest)
    for serial, at in released:
        yield entry(serial, at, RevocationReason.REMOVE_FROM_CRL)


def _counted(entries: Iterable[bytes], tell: Callable[[int], None]) -> Iterator[bytes]:
    for count, one in enumerate(entries, 1):
        if count % TOLD_EVERY == 0:
            tell(count)
        yield one
