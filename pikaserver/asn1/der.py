"""A small DER writer (X.690); the strict check and PEM are at hand here too."""

import re
from datetime import UTC, datetime

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import (
    BIT_STRING,
    BOOLEAN,
    CONSTRUCTED,
    CONTEXT,
    GENERALIZED_TIME,
    INTEGER,
    LONG_LENGTH,
    NULL,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    content,
)
from pikaserver.asn1.pem import is_pem, pem_blocks, pem_pieces, pem_size, read_pem, write_pem
from pikaserver.asn1.strict import check

# One import gives a caller all that it needs for DER and its text form.
__all__ = [
    "bit_string",
    "boolean",
    "check",
    "content",
    "context",
    "element",
    "generalized_time",
    "header",
    "integer",
    "is_pem",
    "null",
    "octet_string",
    "oid",
    "pem_blocks",
    "pem_pieces",
    "pem_size",
    "read_pem",
    "sequence",
    "set_of",
    "signed",
    "time",
    "write_pem",
]

_UTC_TIME_YEARS = range(1950, 2050)
_DOTTED = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+", re.ASCII)


def header(tag: int, size: int) -> bytes:
    """Return tag and shortest length for contents of so many octets."""
    if size < LONG_LENGTH:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, LONG_LENGTH | len(length))) + length


def element(tag: int, *contents: bytes) -> bytes:
    """Return tag, shortest length and the contents one after the other."""
    octets = b"".join(contents)
    return header(tag, len(octets)) + octets


def integer(number: int, tag: int = INTEGER) -> bytes:
    """Return an INTEGER in two's complement of the fewest octets; `tag` may say ENUMERATED."""
    magnitude = number if number >= 0 else ~number
    return element(tag, number.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER.

    Raises:
        MalformedRequest: the text is not a dotted OID.
    """
    if not _DOTTED.fullmatch(dotted):
        raise MalformedRequest(f"{dotted!r} is not an object identifier")
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    if first < 2 and second >= 40:  # noqa: PLR2004 - arcs 0 and 1 have 40 children (X.660)
        raise MalformedRequest(f"{dotted!r} is not an object identifier")
    return element(OID, *(_base128(arc) for arc in (first * 40 + second, *rest)))


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))


def octet_string(octets: bytes) -> bytes:
    """Return an OCTET STRING."""
    return element(OCTET_STRING, octets)


def bit_string(octets: bytes, unused_bits: int = 0) -> bytes:
    """Return a BIT STRING whose last octet has so many unused bits, which must be zero."""
    return element(BIT_STRING, bytes((unused_bits,)), octets)


def boolean(*, value: bool) -> bytes:
    """Return a BOOLEAN."""
    return element(BOOLEAN, b"\xff" if value else b"\x00")


def null() -> bytes:
    """Return NULL."""
    return element(NULL)


def sequence(*elements: bytes) -> bytes:
    """Return a SEQUENCE of encoded elements in this order."""
    return element(SEQUENCE, *elements)


def set_of(*elements: bytes) -> bytes:
    """Return a SET OF, sorted as X.690 section 11.6 asks."""
    return element(SET, *sorted(elements))


def context(number: int, octets: bytes, *, constructed: bool = True) -> bytes:
    """Return ``[number]``: constructed for EXPLICIT and for structures, else primitive."""
    return element(CONTEXT | (CONSTRUCTED if constructed else 0) | number, octets)


def time(moment: datetime) -> bytes:
    """Return UTCTime until 2049 and GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5)."""
    moment = moment.astimezone(UTC)
    if moment.year in _UTC_TIME_YEARS:
        return element(UTC_TIME, f"{moment:%y%m%d%H%M%S}Z".encode())
    return generalized_time(moment)


def generalized_time(moment: datetime) -> bytes:
    """Return GeneralizedTime in UTC with seconds and no fraction."""
    moment = moment.astimezone(UTC)
    return element(GENERALIZED_TIME, f"{moment.year:04}{moment:%m%d%H%M%S}Z".encode())


def signed(tbs: bytes, algorithm_identifier: bytes, signature: bytes) -> bytes:
    """Return what X.509 calls SIGNED: the octets, the algorithm, the signature's bits."""
    return sequence(tbs, algorithm_identifier, bit_string(signature))
