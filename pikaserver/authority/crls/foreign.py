"""CRLs that were signed elsewhere: by an offline authority, or before one came here."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.crls import DELTA_CRL, FULL_CRL, CrlSummary
from pikaserver.api.errors import Conflict, NotFound, RequestRejected
from pikaserver.api.operations import Clock, CrlIssued
from pikaserver.api.storage import Database
from pikaserver.asn1.crl import entry
from pikaserver.asn1.crl_reading import ReadCrl, read_crl
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.crls.kept import KeptCrls, summary
from pikaserver.authority.events import Events
from pikaserver.storage import crls as storage
from pikaserver.storage import revocations
from pikaserver.storage.crls import CrlRow, NewCrl
from pikaserver.storage.revocations import FormerRevocation


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCrls:
    """Takes CRLs that another key keeper signed; each is verified, and never an older one."""

    database: Database
    authorities: AuthorityDirectory
    kept: KeptCrls
    audit: AuditTrail
    events: Events
    clock: Clock

    def upload(
        self, authority: str, der: bytes, actor: str, generation: int | None = None
    ) -> CrlSummary:
        """Serve the CRL of an authority whose key is elsewhere.

        Raises:
            Conflict: the authority signs its CRLs here, or a newer one is served.
            MalformedRequest: it cannot be read.
            RequestRejected: it is another issuer's, partial, over already, or has no number
                (RFC 5280 section 5.2.3).
            SignatureFaulty: the signature is not the authority's.
        """
        key = self.authorities.key(authority, generation)
        if key.generation.key is not None:
            raise Conflict(f"authority {authority!r} signs its CRLs on this server")
        found = self._checked(key, der)
        if found.number is None:
            raise RequestRejected("the CRL has no number, by which a newer one is known")
        with self.database.transaction() as connection:
            row = self._store(connection, key, found, actor, "crl.uploaded")
        record = self.kept.newest(key, row.scope)
        self.events.announce(CrlIssued(record))
        return summary(key, row)

    def take_over(self, authority: str, der: bytes, actor: str) -> CrlSummary:
        """Go on from the last CRL that an authority signed before it came here.

        Its number is followed by our next one, and what it lists stays listed.

        Raises:
            Conflict: a CRL was signed here already.
            MalformedRequest: it cannot be read.
            RequestRejected: it is another issuer's, partial, or a delta.
            SignatureFaulty: the signature is not the authority's.
        """
        key = self.authorities.key(authority)
        found = self._checked(key, der, may_be_over=True)
        if found.base_number is not None:
            raise RequestRejected("a delta CRL tells only what changed: bring the full one")
        former = list(_former(found))
        with self.database.transaction() as connection:
            if storage.scopes(connection, key.generation.id):
                raise Conflict(f"authority {authority!r} has signed a CRL here already")
            revocations.insert_former(connection, key.generation.id, former)
            row = self._store(connection, key, found, actor, "crl.taken-over")
        return summary(key, row)

    def _checked(self, key: IssuingKey, der: bytes, *, may_be_over: bool = False) -> ReadCrl:
        found = read_crl(der)
        if found.issuer != key.certificate.subject:
            raise RequestRejected(f"the CRL is of {found.issuer.rfc4514_string()!r}")
        found.verify(key.public_key)
        if found.partial:
            raise RequestRejected("the CRL covers a part of the certificates only")
        now = self.clock()
        if found.this_update > now:
            raise RequestRejected("the CRL begins in the future")
        if found.next_update < now and not may_be_over:
            raise RequestRejected(f"the CRL ended at {found.next_update:%Y-%m-%d %H:%M} UTC")
        for _ in found.entries():
            pass  # each can be read
        return found

    def _store(
        self, connection: Connection, key: IssuingKey, found: ReadCrl, actor: str, event: str
    ) -> CrlRow:
        scope = FULL_CRL if found.base_number is None else DELTA_CRL
        if found.base_number is not None:
            self._check_base(connection, key, found.base_number)
        new = NewCrl(
            generation_id=key.generation.id,
            this_update=found.this_update,
            next_update=found.next_update,
            scope=scope,
            exact_number=found.number,
            base_number=found.base_number,
        )
        intent = storage.insert_intent(connection, new)
        octets = storage.write(connection, intent.id, [found.der])
        digest = hashlib.sha256(found.der).hexdigest()
        storage.complete(
            connection,
            intent.id,
            entries=len(found.loaded),
            octets=octets,
            digest=digest,
            revocations=0,
        )
        row = storage.latest(connection, key.generation.id, scope)
        storage.drop_superseded(connection, row)
        self.audit.record(
            connection, event, actor, authority=key.authority, number=row.number, hash=digest
        )
        return row

    def _check_base(self, connection: Connection, key: IssuingKey, base: int) -> None:
        try:
            full = storage.latest(connection, key.generation.id)
        except NotFound:
            raise RequestRejected("bring the full CRL before its delta") from None
        if full.number < base:
            raise RequestRejected(f"the delta goes with the full CRL {base}; here is {full.number}")


def _former(found: ReadCrl) -> Iterator[FormerRevocation]:
    for one in found.entries():
        if one.reason is RevocationReason.REMOVE_FROM_CRL:
            continue
        octets = entry(one.serial, one.at, one.reason, one.invalidity_at)
        yield FormerRevocation(one.serial, one.at, one.reason, one.invalidity_at, octets)
