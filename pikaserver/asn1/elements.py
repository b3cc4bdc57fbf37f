"""Finding elements in DER: tag, length, content (X.690), and what is inside them."""

from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

from pikaserver.api.errors import MalformedRequest

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
ENUMERATED = 0x0A
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

CONSTRUCTED = 0x20
CONTEXT = 0x80
LONG_LENGTH = 0x80

_TAG_NUMBER = 0x1F
# Four octets of length are 4 GiB: more is never meant.
_LENGTH_OCTETS = 4
# cryptography takes no longer ones either; Python refuses to write much larger arcs as text.
_OID_OCTETS = 63


class Element(NamedTuple):
    """One element: its identifier octet, where it begins, where its content begins and ends."""

    tag: int
    at: int
    start: int
    end: int


def read_element(octets: bytes | mmap, at: int, limit: int | None = None) -> Element:
    """Find the element at an offset; it must end before `limit`, by default the end.

    Raises:
        MalformedRequest: no whole element with a definite shortest length begins there.
    """
    limit = len(octets) if limit is None else limit
    if at + 2 > limit:
        raise MalformedRequest(f"not DER: an element is cut off at octet {at}")
    tag, size, start = octets[at], octets[at + 1], at + 2
    if tag & _TAG_NUMBER == _TAG_NUMBER:
        raise MalformedRequest(f"not expected: a tag number above 30 at octet {at}")
    if size >= LONG_LENGTH:
        size, start = _long_length(octets, at, size & 0x7F, limit)
    end = start + size
    if end > limit:
        raise MalformedRequest(f"not DER: the element at octet {at} runs past its container")
    return Element(tag, at, start, end)


def _long_length(octets: bytes | mmap, at: int, count: int, limit: int) -> tuple[int, int]:
    start = at + 2 + count
    if not 0 < count <= _LENGTH_OCTETS or start > limit:
        raise MalformedRequest(f"not DER: indefinite or unreadable length at octet {at}")
    size = int.from_bytes(octets[at + 2 : start], "big")
    if size < LONG_LENGTH or octets[at + 2] == 0:
        raise MalformedRequest(f"not DER: the length at octet {at} is not the shortest")
    return size, start


def content(octets: bytes, at: int) -> tuple[int, int]:
    """Return start and end of the content of the element at this offset.

    Raises:
        MalformedRequest: see `read_element`.
    """
    found = read_element(octets, at)
    return found.start, found.end


def children(octets: bytes, at: int = 0) -> Iterator[Element]:
    """Walk the elements inside the constructed element at this offset.

    Raises:
        MalformedRequest: see `read_element`.
    """
    outer = read_element(octets, at)
    position = outer.start
    while position < outer.end:
        found = read_element(octets, position, outer.end)
        yield found
        position = found.end


def members(octets: bytes, what: str, at: int = 0) -> list[Element]:
    """Return the elements inside the SEQUENCE at this offset.

    Raises:
        MalformedRequest: something else is there; the text says what was expected.
    """
    expect(octets, read_element(octets, at), SEQUENCE, what)
    return list(children(octets, at))


def expect(octets: bytes, found: Element, tag: int, what: str) -> bytes:
    """Return an element's content when it has this tag.

    Raises:
        MalformedRequest: it has another one; the text says what was expected there.
    """
    if found.tag != tag:
        raise MalformedRequest(f"expected {what} at octet {found.at}")
    return octets[found.start : found.end]


def dotted(oid_content: bytes) -> str:
    """Return the dotted text of an OBJECT IDENTIFIER's content.

    Raises:
        MalformedRequest: it has no octets, is cut off, or is longer than any real one.
    """
    if not oid_content or oid_content[-1] & 0x80:
        raise MalformedRequest("an OBJECT IDENTIFIER is cut off")
    if len(oid_content) > _OID_OCTETS:
        raise MalformedRequest(f"an OBJECT IDENTIFIER of more than {_OID_OCTETS} octets")
    arcs: list[int] = []
    arc = 0
    for octet in oid_content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))
