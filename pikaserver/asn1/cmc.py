"""CMC (RFC 5272, RFC 6402): full requests read, full answers written; nothing of CMS."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    Element,
    children,
    dotted,
    expect,
    members,
    read_element,
)
from pikaserver.asn1.refusing import refusing

PKI_DATA = "1.3.6.1.5.5.7.12.2"
"""id-cct-PKIData."""
PKI_RESPONSE = "1.3.6.1.5.5.7.12.3"
"""id-cct-PKIResponse."""
LIMIT_OCTETS = 64 * 1024
MOST_PARTS = 20
"""Requests, and controls, of one message."""

_CMC = "1.3.6.1.5.5.7.7."
DATA_RETURN = f"{_CMC}4"
TRANSACTION_ID = f"{_CMC}5"
SENDER_NONCE = f"{_CMC}6"
RECIPIENT_NONCE = f"{_CMC}7"
ENCRYPTED_POP = f"{_CMC}9"
DECRYPTED_POP = f"{_CMC}10"
GET_CERT = f"{_CMC}15"
GET_CRL = f"{_CMC}16"
REVOKE_REQUEST = f"{_CMC}17"
REG_INFO = f"{_CMC}18"
QUERY_PENDING = f"{_CMC}21"
STATUS_INFO_V2 = f"{_CMC}25"

_PKCS10 = CONTEXT | CONSTRUCTED
_CRMF = CONTEXT | CONSTRUCTED | 1
_UTF8_STRING = 0x0C
_MOST_ID = 4294967295


class Status(IntEnum):
    """CMCStatus (RFC 5272 section 6.1.3)."""

    SUCCESS = 0
    FAILED = 2
    PENDING = 3
    NO_SUPPORT = 4


class FailInfo(IntEnum):
    """CMCFailInfo (RFC 5272 section 6.1.4)."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4
    UNSUPPORTED_EXT = 5
    BAD_IDENTITY = 7
    POP_REQUIRED = 8
    POP_FAILED = 9
    INTERNAL_CA_ERROR = 11
    TRY_LATER = 12
    AUTH_DATA_FAIL = 13


@dataclass(frozen=True, slots=True)
class Control:
    """One control: ``values`` in DER."""

    body_part: int
    kind: str
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class WishedCertificate:
    """One request for a certificate: PKCS#10, or CertReqMsg of CRMF (RFC 4211), in DER."""

    body_part: int
    der: bytes
    is_crmf: bool = False

    @property
    def tagged(self) -> bytes:
        """TaggedRequest, as it stands in the message."""
        if self.is_crmf:
            return bytes((_CRMF,)) + self.der[1:]
        return der.context(0, der.integer(self.body_part) + self.der)


@dataclass(frozen=True, slots=True)
class PkiData:
    """What a client asks for."""

    controls: tuple[Control, ...]
    requests: tuple[WishedCertificate, ...]

    @property
    def tagged(self) -> Mapping[int, bytes]:
        """The requests as they stand in the message, by their numbers."""
        return {one.body_part: one.tagged for one in self.requests}

    def value(self, kind: str) -> bytes | None:
        """Return the one value of a control that may be there once; ``None`` without it.

        Raises:
            MalformedRequest: it is there twice, or has not one value.
        """
        found = [control for control in self.controls if control.kind == kind]
        if not found:
            return None
        if len(found) > 1 or len(found[0].values) != 1:
            raise MalformedRequest(f"the control {kind} has not one value")
        return found[0].values[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some body parts: CMCStatusInfoV2 (RFC 5272 section 6.1.1).

    One that waits has a ``token``, by which the client asks again at ``again``.
    """

    status: Status
    body_parts: tuple[int, ...]
    text: str | None = None
    fail_info: FailInfo | None = None
    token: bytes | None = None
    again: datetime | None = None


def read_pki_data(octets: bytes) -> PkiData:
    """Read PKIData (RFC 5272 section 3.2.1).

    Raises:
        MalformedRequest: it cannot be read, holds messages within messages, or two body parts
            of one number.
    """
    der.check(octets, limit_octets=LIMIT_OCTETS)
    with refusing("PKIData"):
        fields = members(octets, "PKIData")
        if [field.tag for field in fields] != [SEQUENCE] * 4:
            raise MalformedRequest("not a PKIData")
        controls, requests, cms, others = fields
        if any(next(children(octets, field.at), None) for field in (cms, others)):
            raise MalformedRequest("messages within a message are not taken")
        read = PkiData(
            tuple(_control(octets, one) for one in children(octets, controls.at)),
            tuple(_request(octets, one) for one in children(octets, requests.at)),
        )
    _check_parts(read)
    return read


def read_octets(value: bytes, what: str) -> bytes:
    """Return the content of an OCTET STRING.

    Raises:
        MalformedRequest: it is none.
    """
    return expect(value, _whole(value), OCTET_STRING, what)


def integer_of(value: bytes, what: str) -> int:
    """Return an INTEGER.

    Raises:
        MalformedRequest: it is none.
    """
    return int.from_bytes(expect(value, _whole(value), INTEGER, what), "big", signed=True)


def write_pki_response(controls: Sequence[bytes]) -> bytes:
    """Return PKIResponse (RFC 5272 section 3.2.2) with these controls in their order."""
    return der.sequence(der.sequence(*controls), der.sequence(), der.sequence())


def write_control(body_part: int, kind: str, value: bytes) -> bytes:
    """Return a TaggedAttribute with one value in DER."""
    return der.sequence(der.integer(body_part), der.oid(kind), der.set_of(value))


def write_nonce(octets: bytes) -> bytes:
    """Return the value of a nonce."""
    return der.octet_string(octets)


def write_outcome(outcome: Outcome) -> bytes:
    """Return CMCStatusInfoV2."""
    parts = [
        der.integer(outcome.status),
        der.sequence(*(der.integer(number) for number in outcome.body_parts)),
    ]
    if outcome.text is not None:
        parts.append(der.element(_UTF8_STRING, outcome.text.encode()))
    if outcome.fail_info is not None:
        parts.append(der.integer(outcome.fail_info))
    elif outcome.token is not None and outcome.again is not None:
        again = der.generalized_time(outcome.again)
        parts.append(der.sequence(der.octet_string(outcome.token), again))
    return der.sequence(*parts)


def _control(octets: bytes, element: Element) -> Control:
    number, kind, values = members(octets, "a control", element.at)
    return Control(
        _number(octets, number),
        dotted(expect(octets, kind, OID, "the kind of a control")),
        tuple(_values(octets, values)),
    )


def _values(octets: bytes, values: Element) -> Iterator[bytes]:
    expect(octets, values, SET, "the values of a control")
    for value in children(octets, values.at):
        yield octets[value.at : value.end]


def _request(octets: bytes, element: Element) -> WishedCertificate:
    if element.tag == _PKCS10:
        number, request = children(octets, element.at)
        expect(octets, request, SEQUENCE, "a PKCS#10 request")
        return WishedCertificate(_number(octets, number), octets[request.at : request.end])
    if element.tag == _CRMF:
        # [1] IMPLICIT CertReqMsg; its number is that of the CertRequest in it.
        message = bytes((SEQUENCE,)) + octets[element.at + 1 : element.end]
        wished = next(children(octets, element.at))
        number = next(children(octets, wished.at))
        return WishedCertificate(_number(octets, number), message, is_crmf=True)
    raise MalformedRequest("requests in PKCS#10 and CRMF are taken, and no others")


def _number(octets: bytes, element: Element) -> int:
    content = expect(octets, element, INTEGER, "the number of a body part")
    number = int.from_bytes(content, "big", signed=True)
    if not 0 <= number <= _MOST_ID:
        raise MalformedRequest(f"{number} is no number of a body part")
    return number


def _check_parts(read: PkiData) -> None:
    numbers = [one.body_part for one in read.controls]
    numbers += [one.body_part for one in read.requests]
    if len(numbers) > MOST_PARTS:
        raise MalformedRequest(f"more than {MOST_PARTS} body parts in one message")
    if len(set(numbers)) != len(numbers):
        raise MalformedRequest("two body parts have the same number")


def _whole(value: bytes) -> Element:
    found = read_element(value, 0)
    if found.end != len(value):
        raise MalformedRequest("octets follow the end of a value")
    return found
