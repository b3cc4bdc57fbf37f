"""The signed attributes of SCEP messages (RFC 8894 section 3.2.1), written, read, recognised."""

from collections.abc import Mapping
from types import MappingProxyType

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import OCTET_STRING, SET, children, read_element
from pikaserver.asn1.signed_data import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNING_TIME, attribute

MESSAGE_TYPE = "2.16.840.1.113733.1.9.2"
PKI_STATUS = "2.16.840.1.113733.1.9.3"
FAIL_INFO = "2.16.840.1.113733.1.9.4"
SENDER_NONCE = "2.16.840.1.113733.1.9.5"
RECIPIENT_NONCE = "2.16.840.1.113733.1.9.6"
TRANSACTION_ID = "2.16.840.1.113733.1.9.7"
FAIL_INFO_TEXT = "1.3.6.1.5.5.7.24.1"

PRINTABLE_STRING = 0x13
UTF8_STRING = 0x0C
_STRINGS: Mapping[int, str] = MappingProxyType(
    {UTF8_STRING: "utf-8", PRINTABLE_STRING: "ascii", 0x14: "latin-1", 0x16: "ascii"}
)
_CONTENT_IS_DATA = attribute(CONTENT_TYPE, der.oid(DATA))
_OF_MESSAGES = frozenset(
    der.oid(oid)
    for oid in (
        CONTENT_TYPE,
        MESSAGE_DIGEST,
        SIGNING_TIME,
        MESSAGE_TYPE,
        PKI_STATUS,
        FAIL_INFO,
        SENDER_NONCE,
        RECIPIENT_NONCE,
        TRANSACTION_ID,
        FAIL_INFO_TEXT,
    )
)


def printable(oid: str, text: str) -> bytes:
    """Return an attribute whose value is a PrintableString."""
    return attribute(oid, der.element(PRINTABLE_STRING, text.encode("ascii")))


def utf8(oid: str, text: str) -> bytes:
    """Return an attribute whose value is a UTF8String."""
    return attribute(oid, der.element(UTF8_STRING, text.encode()))


def nonce(oid: str, octets: bytes) -> bytes:
    """Return an attribute whose value is an OCTET STRING."""
    return attribute(oid, der.octet_string(octets))


def read_text(values: Mapping[str, bytes], oid: str) -> str | None:
    """Return the text of an attribute, ``None`` where there is none.

    The RFC asks for PrintableString; other strings of ASCII are met.

    Raises:
        MalformedRequest: it is no string, or has characters that cannot be printed.
    """
    octets = values.get(oid)
    if octets is None:
        return None
    value = read_element(octets, 0)
    encoding = _STRINGS.get(value.tag)
    try:
        text = octets[value.start : value.end].decode(encoding or "")
    except (UnicodeDecodeError, LookupError):
        raise MalformedRequest(f"the attribute {oid} is not a string") from None
    if not text.isascii() or not text.isprintable():
        raise MalformedRequest(f"the attribute {oid} has characters that cannot be printed")
    return text


def read_nonce(values: Mapping[str, bytes], oid: str) -> bytes | None:
    """Return the octets of a nonce, ``None`` where there is none.

    Raises:
        MalformedRequest: it is not an OCTET STRING.
    """
    octets = values.get(oid)
    if octets is None:
        return None
    value = read_element(octets, 0)
    if value.tag != OCTET_STRING:
        raise MalformedRequest("a nonce is an OCTET STRING")
    return octets[value.start : value.end]


def is_scep_attributes(octets: bytes) -> bool:
    """Tell whether octets are signed attributes over data that a SCEP server sends.

    They are a SET, which no certificate, CRL, request or answer begins with, and have no
    attribute that another protocol gives a meaning to.
    """
    try:
        der.check(octets)
        found = [octets[one.at : one.end] for one in (children(octets) if octets[0] == SET else ())]
        names = [one[kind.at : kind.end] for one in found for kind in list(children(one))[:1]]
    except MalformedRequest:
        return False
    return _CONTENT_IS_DATA in found and _OF_MESSAGES.issuperset(names)
