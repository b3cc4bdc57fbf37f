"""The one gate for octets from outside: strict DER of bounded size, depth and number."""

from collections.abc import Callable, Mapping

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import (
    BIT_STRING,
    BOOLEAN,
    CONSTRUCTED,
    ENUMERATED,
    INTEGER,
    NULL,
    OID,
    SEQUENCE,
    SET,
    Element,
    read_element,
)

LIMIT_OCTETS = 65_536
LIMIT_DEPTH = 32
LIMIT_ELEMENTS = 4096

_FIRST_APPLICATION_TAG = 0x40
_CONTINUES = 0x80


def check(der: bytes, *, limit_octets: int = LIMIT_OCTETS) -> None:
    """Accept one element of strict DER, and nothing after it.

    The order of a SET OF is left to those who read it: strongSwan does not sort.  What
    octet strings and bit strings wrap is not looked into.

    Raises:
        MalformedRequest: it is too large, too deep, too long, BER, or not one element.
    """
    if len(der) > limit_octets:
        raise MalformedRequest(f"{len(der)} octets are more than the {limit_octets} allowed")
    outer = read_element(der, 0)
    if outer.end != len(der):
        raise MalformedRequest(f"{len(der) - outer.end} octets follow the end of the structure")
    ends = [outer.end]
    at = seen = 0
    while at < outer.end:
        found = read_element(der, at, ends[-1])
        seen += 1
        if seen > LIMIT_ELEMENTS:
            raise MalformedRequest(f"more than {LIMIT_ELEMENTS} elements")
        at = _enter(der, found, ends)
        while ends and ends[-1] == at:
            ends.pop()


def _enter(der: bytes, found: Element, ends: list[int]) -> int:
    """Check one element and return where the next one begins."""
    if not found.tag & CONSTRUCTED:
        complain = _COMPLAINTS.get(found.tag)
        complaint = complain(der[found.start : found.end]) if complain else None
        if complaint:
            raise MalformedRequest(f"not DER: {complaint} at octet {found.at}")
        return found.end
    if found.tag < _FIRST_APPLICATION_TAG and found.tag not in (SEQUENCE, SET):
        raise MalformedRequest(f"not DER: a value in pieces at octet {found.at}")
    if len(ends) > LIMIT_DEPTH:
        raise MalformedRequest(f"more than {LIMIT_DEPTH} levels deep")
    ends.append(found.end)
    return found.start


def _boolean(octets: bytes) -> str | None:
    return None if octets in (b"\x00", b"\xff") else "a BOOLEAN that is not 00 or FF"


def _integer(octets: bytes) -> str | None:
    if not octets:
        return "an INTEGER without octets"
    if len(octets) > 1 and (octets[0], octets[1] & 0x80) in ((0x00, 0x00), (0xFF, 0x80)):
        return "an INTEGER that is not the shortest"
    return None


def _bit_string(octets: bytes) -> str | None:
    if not octets or octets[0] not in range(8) or (octets[0] and len(octets) == 1):
        return "a BIT STRING with a wrong count of unused bits"
    if octets[0] and octets[-1] & ((1 << octets[0]) - 1):
        return "a BIT STRING whose unused bits are not zero"
    return None


def _null(octets: bytes) -> str | None:
    return "a NULL with content" if octets else None


def _oid(octets: bytes) -> str | None:
    if not octets or octets[-1] & _CONTINUES:
        return "an OBJECT IDENTIFIER that is cut off"
    first_of_arc = True
    for octet in octets:
        if first_of_arc and octet == _CONTINUES:
            return "an OBJECT IDENTIFIER that is not the shortest"
        first_of_arc = not octet & _CONTINUES
    return None


def _structure(_octets: bytes) -> str | None:
    return "a structure that is not constructed, or an end-of-contents"


_COMPLAINTS: Mapping[int, Callable[[bytes], str | None]] = {
    0x00: _structure,
    BOOLEAN: _boolean,
    INTEGER: _integer,
    BIT_STRING: _bit_string,
    NULL: _null,
    OID: _oid,
    ENUMERATED: _integer,
    SEQUENCE & ~CONSTRUCTED: _structure,
    SET & ~CONSTRUCTED: _structure,
}
