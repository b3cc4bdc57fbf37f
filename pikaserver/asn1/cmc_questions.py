"""What controls of CMC name: certificates, authorities, reasons (RFC 5272 section 6)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    ENUMERATED,
    GENERALIZED_TIME,
    INTEGER,
    SEQUENCE,
    Element,
    children,
    expect,
    members,
)
from pikaserver.asn1.refusing import refusing

_DIRECTORY_NAME = CONTEXT | CONSTRUCTED | 4
_NOT_A_REASON = RevocationReason.REMOVE_FROM_CRL.value


@dataclass(frozen=True, slots=True)
class NamedCertificate:
    """A certificate by its issuer (Name in DER) and serial number."""

    issuer: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class RevocationWish:
    """Which certificate is to be revoked, why, and since when the key is not trusted."""

    certificate: NamedCertificate
    reason: RevocationReason
    invalidity_at: datetime | None


def read_get_cert(value: bytes) -> NamedCertificate:
    """Read GetCert (section 6.9).

    Raises:
        MalformedRequest: it cannot be read.
    """
    der.check(value)
    with refusing("GetCert"):
        issuer, serial = members(value, "GetCert")
        (name,) = children(value, issuer.at)
        expect(value, issuer, _DIRECTORY_NAME, "a directory name")
        return NamedCertificate(_name(value, name), _serial(value, serial))


def read_get_crl(value: bytes) -> bytes:
    """Read GetCRL (section 6.10), and return the issuer's name in DER.

    Raises:
        MalformedRequest: it cannot be read.
    """
    der.check(value)
    with refusing("GetCRL"):
        return _name(value, members(value, "GetCRL")[0])


def read_revoke_request(value: bytes) -> RevocationWish:
    """Read RevokeRequest (section 6.11).

    Raises:
        MalformedRequest: it cannot be read, or the reason is none.
    """
    der.check(value)
    with refusing("RevokeRequest"):
        issuer, serial, reason, *rest = members(value, "RevokeRequest")
        number = expect(value, reason, ENUMERATED, "a reason")
        since = next((one for one in rest if one.tag == GENERALIZED_TIME), None)
        return RevocationWish(
            NamedCertificate(_name(value, issuer), _serial(value, serial)),
            _reason(int.from_bytes(number, "big", signed=True)),
            None if since is None else _moment(value[since.start : since.end]),
        )


def _name(value: bytes, element: Element) -> bytes:
    expect(value, element, SEQUENCE, "a name")
    return value[element.at : element.end]


def _serial(value: bytes, element: Element) -> int:
    return int.from_bytes(expect(value, element, INTEGER, "a serial number"), "big", signed=True)


def _reason(number: int) -> RevocationReason:
    if number == _NOT_A_REASON:
        raise MalformedRequest("removeFromCRL is no reason to revoke")
    return RevocationReason(number)


def _moment(text: bytes) -> datetime:
    return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
