"""Revoking, holding and releasing; a certificate is never deleted (RFC 5280 section 5.3.1)."""

from datetime import datetime

from cryptography import x509
from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord, Revocation, RevocationReason
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.operations import CertificateRevoked, Clock
from pikaserver.api.storage import Database
from pikaserver.asn1.crl import entry
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.events import Events
from pikaserver.storage import authorities, revisions, revocations
from pikaserver.storage import certificates as storage

_NOT_A_REASON = frozenset({RevocationReason.REMOVE_FROM_CRL})


class Revocations:
    """The one place where a certificate's status changes."""

    def __init__(self, database: Database, audit: AuditTrail, events: Events, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._events = events
        self._clock = clock

    def revoke(
        self, record: CertificateRecord, revocation: Revocation, actor: str
    ) -> CertificateRecord:
        """See ``pikaserver.api.server.Server.revoke``."""
        with self._database.transaction() as connection:
            changed = self.revoke_in(connection, record, revocation, actor)
        self.announce(changed)
        return changed

    def announce(self, changed: CertificateRecord) -> None:
        """Tell observers of a status that `revoke_in` changed, once it is durable."""
        self._events.announce(CertificateRevoked(changed))

    def revoke_in(
        self,
        connection: Connection,
        record: CertificateRecord,
        revocation: Revocation,
        actor: str,
    ) -> CertificateRecord:
        """Revoke within a transaction that is open already; `announce` it afterwards."""
        _check(revocation, self._clock())
        number = self._count(connection, record)
        if not storage.revoke(
            connection,
            record.id,
            revocation,
            crl_entry=entry(
                record.serial, revocation.at, revocation.reason, revocation.invalidity_at
            ),
            number=number,
        ):
            raise Conflict(f"certificate {write_serial(record.serial)} is revoked already")
        revocations.forget_release(connection, record.id)
        self._audit.record(
            connection,
            "certificate.revoked",
            actor,
            certificate=record.id,
            serial=write_serial(record.serial),
            reason=revocation.reason.rfc_name,
        )
        return storage.get(connection, record.id, self._clock())

    def release(self, record: CertificateRecord, actor: str) -> CertificateRecord:
        """See ``pikaserver.api.server.Server.release``."""
        with self._database.transaction() as connection:
            number = self._count(connection, record)
            if not storage.release(connection, record.id):
                raise Conflict(f"certificate {write_serial(record.serial)} is not on hold")
            revocations.note_release(connection, record.id, self._clock(), number)
            self._audit.record(
                connection,
                "certificate.released",
                actor,
                certificate=record.id,
                serial=write_serial(record.serial),
            )
            changed = storage.get(connection, record.id, self._clock())
        self.announce(changed)
        return changed

    def _count(self, connection: Connection, record: CertificateRecord) -> int:
        """Make the CRL due; where an authority's own certificate changed, drop what is cached."""
        if record.certificate is not None and may_be_authority(record.certificate):
            revisions.advance(connection)
        generation_id = storage.generation_id(connection, record.id)
        return authorities.count_revocation(connection, generation_id)


def _check(revocation: Revocation, now: datetime) -> None:
    if revocation.reason in _NOT_A_REASON:
        raise RequestRejected(
            "removeFromCRL is said by a delta CRL only; release from hold instead"
        )
    if revocation.at > now:
        raise RequestRejected("a revocation cannot lie in the future")
    if revocation.invalidity_at is not None and revocation.invalidity_at > revocation.at:
        raise RequestRejected("the invalidity date cannot be later than the revocation")


def may_be_authority(certificate: bytes) -> bool:
    """Tell whether a certificate is one of a CA."""
    loaded = x509.load_der_x509_certificate(certificate)
    try:
        constraints = loaded.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return constraints.value.ca
