"""revokeCert (RFC 8555 section 7.6): by the account, by the key, by whoever proved the names."""

from datetime import datetime

from cryptography import x509

from pikaserver.api.certificates import (
    CertificateRecord,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.api.errors import Conflict, MalformedRequest, NotFound
from pikaserver.api.json_text import JsonObject
from pikaserver.api.server import Server
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver_acme.asking import DOOR
from pikaserver_acme.identifiers import DNS, IP, Identifier
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.json_text import malformed, text_of
from pikaserver_acme.jose.keys import AccountKey
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import Account, Policy
from pikaserver_acme.reusing import reusable
from pikaserver_acme.storage import authorizations, auto_renewals, orders

REASONS = frozenset(
    {
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
        RevocationReason.PRIVILEGE_WITHDRAWN,
    }
)
"""What a subscriber may say; the others are an authority's business."""


class Revoking:
    """Revokes certificates for those who may."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def by_key(self, key: AccountKey, wish: JsonObject) -> None:
        """Revoke for the holder of the certificate's key.

        Raises:
            AcmeError: it is another key's, none of ours, or revoked already.
        """
        record, certificate = self._found(wish)
        if public_key_of(certificate) != key.spki:
            raise AcmeError("unauthorized", "the certificate has another key than this request")
        self._revoke(record, wish, "acme:key-of-the-certificate")

    def by_account(self, policy: Policy, account: Account, wish: JsonObject) -> None:
        """Revoke for the account that ordered it, or one that has proved all of its names.

        Raises:
            AcmeError: the account is neither, it is none of ours, or revoked already.
        """
        record, certificate = self._found(wish)
        with self._server.database.reading() as connection:
            order = orders.of_certificate(connection, record.id)
            star = order is not None and auto_renewals.get(connection, order.id) is not None
        own = order is not None and order.account_id == account.id
        if not own and not self._has_proved(policy, account, certificate):
            raise AcmeError(
                "unauthorized", "this account has not ordered it, nor proved all of its names"
            )
        if star:
            raise AcmeError(
                "autoRenewalRevocationNotSupported",
                "cancel the order instead; what it gave ends soon (RFC 8739 section 2.3)",
            )
        self._revoke(record, wish, f"acme:{policy.name}/{account.id}")

    def _found(self, wish: JsonObject) -> tuple[CertificateRecord, x509.Certificate]:
        text = text_of(wish, "certificate")
        if text is None:
            raise malformed("'certificate' is to be the certificate, DER in base64url")
        octets = base64url.decode(text, "certificate")
        try:
            certificate = read_certificate(octets)
            record = self._server.certificates.by_certificate(octets)
        except MalformedRequest as error:
            raise malformed(f"'certificate' cannot be read: {error}") from None
        except NotFound:
            raise NotFound("no such certificate was issued here") from None
        if record.door != DOOR:
            raise AcmeError("unauthorized", "this certificate was not issued over ACME")
        return record, certificate

    def _revoke(self, record: CertificateRecord, wish: JsonObject, actor: str) -> None:
        reason = _reason(wish)
        if record.status is CertificateStatus.REVOKED:
            raise already_revoked()
        now: datetime = self._server.clock()
        try:
            self._server.revoke(record, Revocation(now, reason), actor)
        except Conflict:
            raise already_revoked() from None

    def _has_proved(self, policy: Policy, account: Account, certificate: x509.Certificate) -> bool:
        names = _names(certificate)
        if names is None:
            return False
        with self._server.database.reading() as connection:
            now = self._server.clock()
            found = reusable(connection, policy, account.id, names, now)
        # A name that the policy gives to anybody without a challenge proves nothing.
        proved = [one for one in found if not one.pre_approved]
        return all(authorizations.covering(proved, one) is not None for one in names)


def already_revoked() -> AcmeError:
    """Return the error for a certificate that is revoked."""
    return AcmeError("alreadyRevoked", "the certificate is revoked already")


def _reason(wish: JsonObject) -> RevocationReason:
    found = wish.get("reason", 0)
    allowed = sorted(one.value for one in REASONS)
    if isinstance(found, bool) or not isinstance(found, int) or found not in allowed:
        listed = ", ".join(map(str, allowed))
        raise AcmeError("badRevocationReason", f"'reason' is to be one of {listed}")
    return RevocationReason(found)


def _names(certificate: x509.Certificate) -> list[Identifier] | None:
    """Return what a certificate names; ``None`` where somebody could not have proved it all."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    found = []
    for name in extension.value:
        if isinstance(name, x509.DNSName):
            found.append(Identifier(DNS, name.value))
        elif isinstance(name, x509.IPAddress):
            found.append(Identifier(IP, str(name.value)))
        else:
            return None
    return found or None
