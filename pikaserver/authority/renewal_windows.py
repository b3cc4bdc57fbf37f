"""When certificates should be renewed: by their template, or earlier when they must be replaced."""

import base64
import binascii
import re
from datetime import datetime, timedelta

from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict, MalformedRequest, NotFound
from pikaserver.api.operations import Clock
from pikaserver.api.renewal import RenewalWindow
from pikaserver.api.storage import Database
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.storage import replacements as storage
from pikaserver.storage.certificates import CertificateStore
from pikaserver.storage.replacements import ReplacementOrder

RETRY_AFTER = timedelta(hours=6)
"""How often clients ask whether their window was pulled forward (RFC 9773 section 4.3)."""

_LAST_PART = 3
_SERIAL_OCTETS = 21
_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_IDENTIFIER = re.compile(r"([A-Za-z0-9_-]{1,120})\.([A-Za-z0-9_-]{1,28})", re.ASCII)
_AT_ONCE = timedelta(seconds=1)


class RenewalWindows:
    """Implements ``pikaserver.api.renewal.Renewals``, and takes orders to replace."""

    def __init__(
        self,
        database: Database,
        authorities: AuthorityDirectory,
        templates: TemplateDirectory,
        audit: AuditTrail,
        clock: Clock,
    ) -> None:
        self._database = database
        self._authorities = authorities
        self._templates = templates
        self._certificates = CertificateStore(database, clock)
        self._audit = audit
        self._clock = clock

    def window(self, record: CertificateRecord) -> RenewalWindow:
        """See the protocol."""
        return self._gone(record) or self._pulled_forward(record) or self._ordinary(record)

    def opened_early(self, record: CertificateRecord) -> bool:
        """Tell whether a certificate may be renewed before its template's window opens."""
        early = self._pulled_forward(record)
        return early is not None and early.start <= self._clock()

    def find(self, identifier: str) -> CertificateRecord:
        """See the protocol."""
        if _FINGERPRINT.fullmatch(identifier):
            query = CertificateQuery(fingerprint=identifier.lower())
            found = [one for one in self._certificates.find(query) if one.certificate]
        else:
            key_identifier, serial = read_identifier(identifier)
            found = [
                one
                for one in self._certificates.find(CertificateQuery(serial=serial))
                if one.certificate and _authority_key(one.certificate) == key_identifier
            ]
        if len(found) != 1:
            raise NotFound("no certificate of this identifier was issued here")
        return found[0]

    def order(
        self, record: CertificateRecord, within: timedelta, why: str, actor: str
    ) -> RenewalWindow:
        """Have a certificate replaced within this time; its clients learn it when they ask.

        Raises:
            Conflict: it is not valid any more.
        """
        if record.status is not CertificateStatus.VALID:
            raise Conflict(f"certificate {write_serial(record.serial)} is {record.status}")
        now = self._clock()
        new = ReplacementOrder(record.id, now, now + max(within, _AT_ONCE), why, now, actor)
        with self._database.transaction() as connection:
            storage.put(connection, new)
            self._audit.record(
                connection,
                "certificate.replacement-ordered",
                actor,
                certificate=record.id,
                serial=write_serial(record.serial),
                why=why,
            )
        return self.window(record)

    def withdraw(self, record: CertificateRecord, actor: str) -> RenewalWindow:
        """Take an order back.

        Raises:
            NotFound: there is none.
        """
        with self._database.transaction() as connection:
            if not storage.withdraw(connection, record.id):
                raise NotFound(f"nobody ordered to replace {write_serial(record.serial)}")
            self._audit.record(
                connection,
                "certificate.replacement-withdrawn",
                actor,
                certificate=record.id,
                serial=write_serial(record.serial),
            )
        return self.window(record)

    def _gone(self, record: CertificateRecord) -> RenewalWindow | None:
        """Return a window in the past for what is revoked or expired."""
        if record.status is CertificateStatus.EXPIRED:
            return self._past(record.not_after, "the certificate is expired")
        if record.status is CertificateStatus.REVOKED and record.revocation is not None:
            return self._past(record.revocation.at, "the certificate is revoked")
        return None

    def _pulled_forward(self, record: CertificateRecord) -> RenewalWindow | None:
        if self._authorities.key(record.authority, record.generation).revoked:
            why = "the certificate of its authority, or one above it, is revoked"
            return self._past(self._clock(), why)
        with self._database.reading() as connection:
            order = storage.find(connection, record.id)
        if order is None:
            return None
        return RenewalWindow(order.start_at, order.end_at, self._retry(order.end_at), order.why)

    def _ordinary(self, record: CertificateRecord) -> RenewalWindow:
        """Return the first half of the time that the template leaves for renewals.

        Without such a time it is the last third of the certificate's life.
        """
        life = record.not_after - record.not_before
        margin = life / _LAST_PART
        if record.template is not None:
            margin = self._templates.get(record.template).renewal.window or margin
        margin = min(margin, life)
        end = record.not_after - margin / 2
        return RenewalWindow(record.not_after - margin, end, self._retry(record.not_after))

    def _past(self, at: datetime, why: str) -> RenewalWindow:
        return RenewalWindow(at - _AT_ONCE, at, int(RETRY_AFTER.total_seconds()), why)

    def _retry(self, end: datetime) -> int:
        """Return when to ask again: more often where little time is left."""
        left = (end - self._clock()) / 4
        return int(max(timedelta(minutes=1), min(RETRY_AFTER, left)).total_seconds())


def read_identifier(text: str) -> tuple[bytes, int]:
    """Return key identifier and serial number of an identifier of RFC 9773 section 4.1.

    Raises:
        MalformedRequest: it is none.
    """
    match = _IDENTIFIER.fullmatch(text)
    try:
        if match is None:
            raise MalformedRequest(f"{text[:60]!a} is not an identifier (RFC 9773 section 4.1)")
        key, serial = (
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in match.groups()
        )
    except binascii.Error:
        raise MalformedRequest("the identifier is not base64url (RFC 9773 section 4.1)") from None
    number = int.from_bytes(serial, "big", signed=True)
    if number <= 0 or len(serial) > _SERIAL_OCTETS:
        raise MalformedRequest("the identifier's serial number is not positive, or too long")
    return key, number


def write_identifier(certificate: bytes) -> str | None:
    """Return the identifier of RFC 9773 section 4.1; ``None`` without a key identifier."""
    key = _authority_key(certificate)
    if key is None:
        return None
    serial = x509.load_der_x509_certificate(certificate).serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii") for part in (key, octets)
    )


def _authority_key(certificate: bytes) -> bytes | None:
    loaded = x509.load_der_x509_certificate(certificate)
    try:
        found = loaded.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return found.value.key_identifier
