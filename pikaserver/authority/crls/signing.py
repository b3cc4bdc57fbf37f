"""Signing one CRL: number and intent first, then the signature, over octets that may wait."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pikaserver.api.crls import DELTA_CRL
from pikaserver.api.errors import NotFound, PikaserverError, RequestRejected, SignaturePending
from pikaserver.api.operations import Clock
from pikaserver.api.signing import Signer
from pikaserver.api.storage import Database
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.crl import CrlHead, Entries, crl_pieces, tbs_pieces
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.crls import scopes
from pikaserver.authority.crls.spooling import Wanted, scratch_file, spooled
from pikaserver.authority.preparation import key_reference
from pikaserver.authority.signers import SignerRegistry
from pikaserver.authority.urls import AuthorityUrls
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.storage import crl_history
from pikaserver.storage import crls as storage
from pikaserver.storage.crls import CrlIntent, CrlRow, NewCrl

ACTOR = "server"

Told = Callable[[int], None]
"""Takes how many entries were read."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A CRL whose number is reserved; ``seen`` is how many revocations it stands for."""

    id: int
    head: CrlHead
    entries: Entries
    seen: int


@dataclass(frozen=True, slots=True)
class _Made:
    """A CRL that is signed: its row, how many entries, how many revocations it stands for."""

    id: int
    entries: int
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlSigning:
    """Signs CRLs; one whose signature comes later is kept, and gone on with."""

    database: Database
    signers: SignerRegistry
    urls: AuthorityUrls
    audit: AuditTrail
    clock: Clock

    def sign(self, key: IssuingKey, scope: str, tell: Told) -> None:
        """Sign a CRL and store it: the one whose signature was to come later, or a new one.

        Raises:
            SignaturePending: the signature comes later; the octets are kept.
            PikaserverError: the key cannot sign, or the CRL cannot be stored.
        """
        signer = self.signers.open(key_reference(key), key.generation.algorithm)
        with self.database.reading() as connection:
            kept = storage.awaiting(connection, key.generation.id, scope)
            tbs = b"".join(storage.read(connection, kept.id)) if kept else b""
        if kept is None:
            self._make(key, scope, signer, tell)
        elif self.clock() < kept.this_update + (kept.next_update - kept.this_update) / 2:
            self._go_on(key, signer, kept, tbs)
        else:
            self._abandon(kept.id, key, "its signature came too late")
            self._make(key, scope, signer, tell)

    def _go_on(self, key: IssuingKey, signer: Signer, kept: CrlRow, tbs: bytes) -> None:
        """Ask again for the signature over the very octets that were asked for before."""
        try:
            signature = sign_tbs(signer, tbs, key.public_key)
        except SignaturePending:
            raise
        except PikaserverError as error:
            self._abandon(kept.id, key, str(error))
            raise
        identifier = SIGNATURE_ALGORITHMS[key.generation.algorithm].identifier
        octets = der.signed(tbs, identifier, signature)
        self._store(key, kept.scope, _Made(kept.id, kept.entries, kept.revocations), iter([octets]))

    def _make(self, key: IssuingKey, scope: str, signer: Signer, tell: Told) -> None:
        """Reserve a number, sign, store; the entries are read twice and never all in memory."""
        base = self._base(key, scope)
        intent, this_update, next_update = self._intend(key, scope, base)
        try:
            head = self._head(key, scope, base, intent.number, (this_update, next_update))
            wanted = Wanted(key, scope, intent.number, base, self.clock())
            with scratch_file() as file:
                entries, seen = spooled(self.database, wanted, file, tell)
                self._sign(key, signer, _Draft(intent.id, head, entries, seen), scope)
        except SignaturePending:
            raise
        except PikaserverError as error:
            overtaken = self._abandon(intent.id, key, str(error))
            if not (overtaken and isinstance(error, RequestRejected)):
                raise
            # Another process was faster, and a signing agent refuses the lower of two numbers.
            self._make(key, scope, signer, tell)

    def _head(
        self,
        key: IssuingKey,
        scope: str,
        base: CrlRow | None,
        number: int,
        updates: tuple[datetime, datetime],
    ) -> CrlHead:
        return CrlHead(
            issuer=key.certificate.subject.public_bytes(),
            algorithm=key.generation.algorithm,
            this_update=updates[0],
            next_update=updates[1],
            number=number,
            key_identifier=key.key_identifier,
            distribution_point=scopes.distribution_point(self.urls, key, scope),
            delta_base=base.number if base else None,
            freshest=scopes.freshest(self.urls, key, scope),
            expired_since=self._expired_since(key),
        )

    def _expired_since(self, key: IssuingKey) -> datetime | None:
        """Return since when no CRL has left out what had expired, if that is promised.

        Of an authority that came from elsewhere nobody knows what its earlier ones left out.
        """
        if not key.settings.crl_keep_expired:
            return None
        with self.database.reading() as connection:
            return crl_history.first_update(connection, key.generation.id)

    def _sign(self, key: IssuingKey, signer: Signer, draft: _Draft, scope: str) -> None:
        def pieces() -> Iterator[bytes]:
            return tbs_pieces(draft.head, draft.entries)

        try:
            signature = sign_pieces(signer, pieces, key.public_key)
        except SignaturePending as pending:
            self._keep(key, draft, pending)
            raise
        made = _Made(draft.id, draft.entries.count, draft.seen)
        self._store(key, scope, made, crl_pieces(draft.head, draft.entries, signature))

    def _keep(self, key: IssuingKey, draft: _Draft, pending: SignaturePending) -> None:
        """Keep the octets to be signed: the signature will be over them alone."""
        with self.database.transaction() as connection:
            octets = storage.write(connection, draft.id, tbs_pieces(draft.head, draft.entries))
            storage.await_signature(
                connection,
                draft.id,
                entries=draft.entries.count,
                octets=octets,
                revocations=draft.seen,
            )
            self.audit.record(
                connection,
                "crl.awaiting",
                ACTOR,
                authority=key.authority,
                number=draft.head.number,
                approval=pending.approval.hex() if pending.approval else None,
            )

    def _base(self, key: IssuingKey, scope: str) -> CrlRow | None:
        """Return the full CRL that a delta goes with; it is signed before."""
        if scope != DELTA_CRL:
            return None
        with self.database.reading() as connection:
            return storage.latest(connection, key.generation.id)

    def _intend(
        self, key: IssuingKey, scope: str, base: CrlRow | None
    ) -> tuple[CrlIntent, datetime, datetime]:
        this_update = self._this_update(key.generation.id, scope)
        # One second less: both ends belong to the time in which a CRL is good.
        next_update = this_update + scopes.validity(key.settings, scope) - timedelta(seconds=1)
        # Made at the same time they have the same number (RFC 5280 section 5.2.4).
        together = base is not None and base.this_update == this_update
        new = NewCrl(
            generation_id=key.generation.id,
            this_update=this_update,
            next_update=next_update,
            scope=scope,
            shares_number=base.number if base and together else None,
            base_number=base.number if base else None,
        )
        with self.database.transaction() as connection:
            intent = storage.insert_intent(connection, new)
            self.audit.record(
                connection,
                "crl.signing",
                ACTOR,
                authority=key.authority,
                scope=scope,
                number=intent.number,
            )
        return intent, this_update, next_update

    def _this_update(self, generation_id: int, scope: str) -> datetime:
        """Return the present, or the time of the last CRL where the clock ran back meanwhile.

        Revocations are told even then, and no verifier sees thisUpdate go back.
        """
        now = self.clock().replace(microsecond=0)
        with self.database.reading() as connection:
            try:
                return max(now, storage.latest(connection, generation_id, scope).this_update)
            except NotFound:
                return now

    def _store(self, key: IssuingKey, scope: str, made: _Made, pieces: Iterator[bytes]) -> None:
        with self.database.transaction() as connection:
            digest = hashlib.sha256()
            octets = storage.write(connection, made.id, _hashed(pieces, digest.update))
            storage.complete(
                connection,
                made.id,
                entries=made.entries,
                octets=octets,
                digest=digest.hexdigest(),
                revocations=made.seen,
            )
            row = storage.latest(connection, key.generation.id, scope)
            storage.drop_superseded(connection, row)
            self.audit.record(
                connection,
                "crl.issued",
                ACTOR,
                authority=key.authority,
                scope=row.scope,
                number=row.number,
                entries=row.entries,
                hash=row.hash,
            )

    def _abandon(self, crl_id: int, key: IssuingKey, why: str) -> bool:
        """Give a CRL up; return whether somebody has reserved a later number since."""
        with self.database.transaction() as connection:
            storage.abandon(connection, crl_id)
            self.audit.record(connection, "crl.abandoned", ACTOR, authority=key.authority, why=why)
            return not storage.is_newest(connection, crl_id)


def _hashed(pieces: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)
        yield piece
