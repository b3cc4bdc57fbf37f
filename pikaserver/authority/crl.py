"""CRLs: numbered, built in one streamed pass, signed, stored (RFC 5280 section 5)."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import BinaryIO

from pikaserver.api.certificates import CrlRecord, CrlSummary
from pikaserver.api.errors import Conflict, NotFound, PikaserverError, StorageUnavailable
from pikaserver.api.operations import Clock, CrlIssued
from pikaserver.api.storage import Database
from pikaserver.asn1.crl import CrlHead, Entries, crl_pieces, spool, tbs_pieces
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.events import Events
from pikaserver.authority.issuance import SignerRegistry
from pikaserver.authority.preparation import key_reference
from pikaserver.signing.sign import sign_pieces
from pikaserver.storage import authorities as authorities_storage
from pikaserver.storage import certificates as certificates_storage
from pikaserver.storage import crls as storage

ACTOR = "server"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlMaker:
    """Implements ``pikaserver.api.certificates.Crls``."""

    database: Database
    authorities: AuthorityDirectory
    signers: SignerRegistry
    audit: AuditTrail
    events: Events
    clock: Clock
    # The newest CRL of each key: many may download a large one, and they share these octets.
    _kept: dict[int, CrlRecord] = field(default_factory=dict, init=False, repr=False)

    def latest(self, authority: str, generation: int | None = None) -> CrlRecord:
        """See the protocol; while the database is away it is the last one that was read."""
        key = self.authorities.key(authority, generation)
        try:
            return self._newest(key)
        except StorageUnavailable:
            if key.generation.id not in self._kept:
                raise
            return self._kept[key.generation.id]

    def _newest(self, key: IssuingKey) -> CrlRecord:
        kept = self._kept.get(key.generation.id)
        with self.database.reading() as connection:
            # In one view, for a newer CRL takes away the octets of the older ones.
            row = storage.latest(connection, key.generation.id)
            if kept is None or kept.number != row.number:
                octets = b"".join(storage.read(connection, row.id))
                kept = self._kept[key.generation.id] = _record(key, row, octets)
        return kept

    def summaries(self) -> Sequence[CrlSummary]:
        """See the protocol."""
        found = []
        with self.database.reading() as connection:
            for key in self._living_keys():
                try:
                    found.append(_summary(key, storage.latest(connection, key.generation.id)))
                except NotFound:
                    continue
        return found

    def issue(self, authority: str) -> Sequence[CrlRecord]:
        """See the protocol."""
        keys = [key for key in self._signing_keys() if key.authority == authority]
        if not keys:
            self.authorities.get(authority)
            raise Conflict(f"authority {authority!r} has no key here that could sign a CRL")
        return [self._issue(key) for key in keys]

    def issue_due(self) -> Sequence[CrlRecord]:
        """See the protocol; one authority that cannot sign does not keep others from it."""
        issued = []
        for key in self._signing_keys():
            if not self._is_due(key):
                continue
            try:
                issued.append(self._issue(key))
            except PikaserverError:
                _log.exception(
                    "CRL not issued", extra={"event": "crl.failed", "authority": key.authority}
                )
        return issued

    def _living_keys(self) -> Iterator[IssuingKey]:
        now = self.clock()
        for key in self.authorities.all_keys():
            if key.certificate.not_valid_after_utc > now:
                yield key

    def _signing_keys(self) -> Iterator[IssuingKey]:
        return (key for key in self._living_keys() if key.generation.key is not None)

    def _is_due(self, key: IssuingKey) -> bool:
        with self.database.reading() as connection:
            try:
                last = storage.latest(connection, key.generation.id)
            except NotFound:
                return True
            seen = authorities_storage.revocations(connection, key.generation.id)
        every = timedelta(seconds=key.settings.crl_every_seconds)
        return seen != last.revocations or self.clock() >= last.this_update + every

    def _issue(self, key: IssuingKey) -> CrlRecord:
        """Reserve a number, sign, store; the entries are read twice and never all in memory."""
        generation = key.generation
        signer = self.signers.open(key_reference(key), generation.algorithm)
        this_update = self._this_update(generation.id)
        # One second less: both ends belong to the time in which a CRL is good.
        validity = timedelta(seconds=key.settings.crl_validity_seconds - 1)
        with self.database.transaction() as connection:
            intent = storage.insert_intent(
                connection,
                generation.id,
                this_update=this_update,
                next_update=this_update + validity,
            )
            self.audit.record(
                connection, "crl.signing", ACTOR, authority=key.authority, number=intent.number
            )
        head = CrlHead(
            issuer=key.certificate.subject.public_bytes(),
            algorithm=generation.algorithm,
            this_update=this_update,
            next_update=this_update + validity,
            number=intent.number,
            key_identifier=key.key_identifier,
        )
        try:
            with _scratch_file() as file:
                entries, seen = self._spool(key, file)
                signature = sign_pieces(signer, lambda: tbs_pieces(head, entries), key.public_key)
                self._store(intent.id, key, entries, crl_pieces(head, entries, signature), seen)
        except PikaserverError as error:
            self._abandon(intent.id, key, str(error))
            raise
        record = self._newest(key)
        self.events.announce(CrlIssued(record))
        return record

    def _this_update(self, generation_id: int) -> datetime:
        """Return the present, or the time of the last CRL where the clock ran back meanwhile.

        Revocations are told even then, and no verifier sees thisUpdate go back.
        """
        now = self.clock().replace(microsecond=0)
        with self.database.reading() as connection:
            try:
                return max(now, storage.latest(connection, generation_id).this_update)
            except NotFound:
                return now

    def _spool(self, key: IssuingKey, file: BinaryIO) -> tuple[Entries, int]:
        """Read the entries, and how many revocations they stand for, in one view."""
        with self.database.reading() as connection:
            seen = authorities_storage.revocations(connection, key.generation.id)
            found = certificates_storage.revoked_entries(
                connection, key.generation.id, self.clock()
            )
            return spool(found, file), seen

    def _store(
        self, crl_id: int, key: IssuingKey, entries: Entries, pieces: Iterator[bytes], seen: int
    ) -> None:
        with self.database.transaction() as connection:
            digest = hashlib.sha256()
            octets = storage.write(connection, crl_id, _hashed(pieces, digest.update))
            storage.complete(
                connection,
                crl_id,
                entries=entries.count,
                octets=octets,
                digest=digest.hexdigest(),
                revocations=seen,
            )
            row = storage.latest(connection, key.generation.id)
            storage.drop_superseded(connection, key.generation.id, row.number)
            self.audit.record(
                connection,
                "crl.issued",
                ACTOR,
                authority=key.authority,
                number=row.number,
                entries=row.entries,
                hash=row.hash,
            )

    def _abandon(self, crl_id: int, key: IssuingKey, why: str) -> None:
        with self.database.transaction() as connection:
            storage.abandon(connection, crl_id)
            self.audit.record(connection, "crl.abandoned", ACTOR, authority=key.authority, why=why)


@contextmanager
def _scratch_file() -> Iterator[BinaryIO]:
    """Give a file that has no name and goes away.

    Raises:
        StorageUnavailable: there is no room for it.
    """
    try:
        with TemporaryFile() as file:
            yield file
    except OSError as error:
        raise StorageUnavailable(f"the entries of a CRL found no room: {error.strerror}") from error


def _record(key: IssuingKey, row: storage.CrlRow, octets: bytes) -> CrlRecord:
    return CrlRecord(
        authority=key.authority,
        generation=key.generation.number,
        number=row.number,
        this_update=row.this_update,
        next_update=row.next_update,
        entries=row.entries,
        crl=octets,
    )


def _hashed(pieces: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)
        yield piece


def _summary(key: IssuingKey, row: storage.CrlRow) -> CrlSummary:
    return CrlSummary(
        authority=key.authority,
        generation=key.generation.number,
        number=row.number,
        this_update=row.this_update,
        next_update=row.next_update,
        entries=row.entries,
    )
