"""The newest CRLs as they are served: small ones in memory, large ones in files without a name."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO

from pikaserver.api.crls import CrlContent, CrlOctets, CrlRecord, CrlSummary
from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.storage import Database
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.crls.scopes import every
from pikaserver.storage import crls as storage
from pikaserver.storage.crls import CrlRow

LARGEST_IN_MEMORY = 1024 * 1024
_PIECE_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class OnDisk:
    """`CrlContent` of a large one, in a file; readers do not disturb each other."""

    file: BinaryIO
    size: int

    def pieces(self) -> Iterator[bytes]:
        """See the protocol."""
        at = 0
        while at < self.size:
            piece = os.pread(self.file.fileno(), _PIECE_OCTETS, at)
            if not piece:
                raise StorageUnavailable("the octets of a CRL are lost")
            at += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class KeptCrls:
    """Reads each CRL once; while the database is away the last one that was read is served."""

    database: Database
    _kept: dict[tuple[int, str], tuple[int, CrlRecord]] = field(default_factory=dict)
    _reading: dict[tuple[int, str], Lock] = field(default_factory=lambda: defaultdict(Lock))

    def newest(self, key: IssuingKey, scope: str) -> CrlRecord:
        """Return the newest CRL of a key and scope.

        Raises:
            NotFound: nothing was signed yet.
            StorageUnavailable: the database is away, and none was read before.
        """
        place = (key.generation.id, scope)
        try:
            return self._read(key, place)
        except StorageUnavailable:
            if place not in self._kept:
                raise
            return self._kept[place][1]

    def _read(self, key: IssuingKey, place: tuple[int, str]) -> CrlRecord:
        with self.database.reading() as connection:
            row = storage.latest(connection, *place)
        kept = self._kept.get(place)
        if kept is None or kept[0] != row.id:
            # One reads a large CRL, the others wait for it: they would fill the disk.
            with self._reading[place]:
                kept = self._read_now(key, place)
        return kept[1]

    def _read_now(self, key: IssuingKey, place: tuple[int, str]) -> tuple[int, CrlRecord]:
        with self.database.reading() as connection:
            # In one view, for a newer CRL takes away the octets of the older ones.
            row = storage.latest(connection, *place)
            kept = self._kept.get(place)
            if kept is None or kept[0] != row.id:
                content = _content(storage.read(connection, row.id), row.octets)
                kept = self._kept[place] = (row.id, CrlRecord(summary(key, row), content))
        return kept


def summary(key: IssuingKey, row: CrlRow) -> CrlSummary:
    """Return what is told of a stored CRL."""
    ours = key.generation.key is not None
    return CrlSummary(
        authority=key.authority,
        generation=key.generation.number,
        number=row.number,
        this_update=row.this_update,
        next_update=row.next_update,
        entries=row.entries,
        scope=row.scope,
        base_number=row.base_number,
        due_at=row.this_update + every(key.settings, row.scope) if ours else None,
    )


def _content(pieces: Iterator[bytes], size: int) -> CrlContent:
    if size <= LARGEST_IN_MEMORY:
        return CrlOctets(b"".join(pieces))
    # It lives as long as somebody reads from it.
    file = TemporaryFile()  # noqa: SIM115 - closed when the last reader lets it go
    try:
        for piece in pieces:
            file.write(piece)
        file.flush()
    except OSError as error:
        file.close()
        raise StorageUnavailable(f"a CRL found no room: {error.strerror}") from error
    return OnDisk(file, size)
