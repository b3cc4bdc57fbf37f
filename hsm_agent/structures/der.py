"""A small reader of DER (X.690) for what cryptography does not show, and what wraps octets."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

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

LIMIT_DEPTH = 32
LIMIT_ELEMENTS = 4096

_LONG = 0x80
_TAG_NUMBER = 0x1F
_APPLICATION = 0x40
# Three octets of length are 16 MiB, as much as a frame holds; four are never needed.
_LENGTH_OCTETS = 4
_OID_OCTETS = 63
_GENERALIZED_YEAR = 2050
_WHOLE_SECONDS = 15


class Malformed(Exception):
    """The octets pretend to be a structure and are not, strictly, one; the text says why."""


class Element(NamedTuple):
    """One element: its identifier octet, where it begins, where its content begins and ends."""

    tag: int
    at: int
    start: int
    end: int


def read_element(octets: bytes, at: int, limit: int) -> Element:
    """Find the element at an offset; it has to end at ``limit`` or before.

    Raises:
        Malformed: no whole element with a definite length of fewest octets begins there.
    """
    if at + 2 > limit:
        raise Malformed(f"not DER: an element is cut off at octet {at}")
    tag, size, start = octets[at], octets[at + 1], at + 2
    if tag & _TAG_NUMBER == _TAG_NUMBER:
        raise Malformed(f"a tag number above 30 at octet {at}")
    if size >= _LONG:
        start += size & 0x7F
        size = _long_length(octets, at, start, limit)
    if start + size > limit:
        raise Malformed(f"not DER: the element at octet {at} runs past its container")
    return Element(tag, at, start, start + size)


def _long_length(octets: bytes, at: int, start: int, limit: int) -> int:
    if not 0 < start - at - 2 <= _LENGTH_OCTETS or start > limit:
        raise Malformed(f"not DER: an indefinite or unreadable length at octet {at}")
    size = int.from_bytes(octets[at + 2 : start], "big")
    if size < _LONG or octets[at + 2] == 0:
        raise Malformed(f"not DER: the length at octet {at} is not the shortest")
    return size


def children(octets: bytes, outer: Element) -> list[Element]:
    """Return the elements inside a constructed one.

    Raises:
        Malformed: see `read_element`.
    """
    found = []
    at = outer.start
    while at < outer.end:
        inner = read_element(octets, at, outer.end)
        found.append(inner)
        at = inner.end
    return found


def whole(octets: bytes, what: str) -> Element:
    """Return the one element that all the octets are.

    Raises:
        Malformed: something follows it, or it is none.
    """
    outer = read_element(octets, 0, len(octets))
    if outer.end != len(octets):
        raise Malformed(f"{len(octets) - outer.end} octets follow the {what}")
    return outer


def encoded(octets: bytes, found: Element) -> bytes:
    """Return an element with its tag and length."""
    return octets[found.at : found.end]


def expect(octets: bytes, found: Element, tag: int, what: str) -> bytes:
    """Return the content of an element that has to have this tag.

    Raises:
        Malformed: it has another one.
    """
    if found.tag != tag:
        raise Malformed(f"{what} was expected at octet {found.at}")
    return octets[found.start : found.end]


def fields(octets: bytes, outer: Element, what: str, *tags: int) -> list[Element]:
    """Return the elements of a SEQUENCE that has to begin with these tags.

    Raises:
        Malformed: it is no SEQUENCE, or begins otherwise.
    """
    expect(octets, outer, SEQUENCE, what)
    found = children(octets, outer)
    if tuple(one.tag for one in found[: len(tags)]) != tags:
        raise Malformed(f"not {what}: other fields than those of its type")
    return found


def integer(octets: bytes, found: Element, what: str, tag: int = INTEGER) -> int:
    """Return the number of an INTEGER, or of an ENUMERATED where ``tag`` says so.

    Raises:
        Malformed: it is none, or not of the fewest octets.
    """
    content = expect(octets, found, tag, what)
    if not content or (len(content) > 1 and content[0] in (0, 255) and not _needed(content)):
        raise Malformed(f"not DER: {what} has not the fewest octets")
    return int.from_bytes(content, "big", signed=True)


def _needed(content: bytes) -> bool:
    return content[0] >> 7 != content[1] >> 7


def dotted(content: bytes) -> str:
    """Return the text of an OBJECT IDENTIFIER's content.

    Raises:
        Malformed: it is cut off, padded, or longer than any real one.
    """
    if not 0 < len(content) <= _OID_OCTETS or content[-1] & _LONG:
        raise Malformed("an OBJECT IDENTIFIER that is cut off or too long")
    arcs: list[int] = []
    arc = 0
    begins = True
    for octet in content:
        if begins and octet == _LONG:
            raise Malformed("not DER: an OBJECT IDENTIFIER that has not the fewest octets")
        arc = arc << 7 | octet & 0x7F
        begins = not octet & _LONG
        if begins:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def object_identifier(octets: bytes, found: Element, what: str) -> str:
    """Return the text of an OBJECT IDENTIFIER.

    Raises:
        Malformed: it is none.
    """
    return dotted(expect(octets, found, OID, what))


def time(octets: bytes, found: Element, what: str) -> datetime:
    """Return UTCTime until 2049 or GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5).

    Raises:
        Malformed: it is neither, or not the one of the two that its year asks for.
    """
    if found.tag == UTC_TIME:
        text = octets[found.start : found.end]
        century = b"19" if text[:1] >= b"5" else b"20"
        return _moment(century + text, what)
    moment = generalized_time(octets, found, what)
    if moment.year < _GENERALIZED_YEAR:
        raise Malformed(f"{what} before 2050 has to be UTCTime")
    return moment


def generalized_time(
    octets: bytes, found: Element, what: str, *, fraction: bool = False
) -> datetime:
    """Return a GeneralizedTime in UTC with seconds.

    With ``fraction`` there may be parts of a second, without zeros at their end (X.690
    section 11.7); what is beyond microseconds is cut off.

    Raises:
        Malformed: it is none.
    """
    text = expect(octets, found, GENERALIZED_TIME, what)
    if not fraction or len(text) == _WHOLE_SECONDS:
        return _moment(text, what)
    seconds, dot, parts = text[:-1].partition(b".")
    if not dot or not text.endswith(b"Z") or not parts.isdigit() or parts.endswith(b"0"):
        raise Malformed(f"{what} is no time in UTC with seconds")
    return _moment(seconds + b"Z", what).replace(microsecond=int(parts[:6].ljust(6, b"0")))


def _moment(text: bytes, what: str) -> datetime:
    digits = text[:14]
    if len(text) != _WHOLE_SECONDS or text[14:] != b"Z" or not digits.isdigit():
        raise Malformed(f"{what} is no time in UTC with seconds")
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    try:
        return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise Malformed(f"{what} is a time that does not exist") from None


def check(octets: bytes, outer: Element) -> None:
    """Walk through everything inside an element; strings that wrap others are not opened.

    Raises:
        Malformed: something is not DER, too deep, or there is too much of it.
    """
    ends = [outer.end]
    at, seen = outer.start, 0
    while at < outer.end:
        found = read_element(octets, at, ends[-1])
        seen += 1
        if len(ends) > LIMIT_DEPTH or seen > LIMIT_ELEMENTS:
            raise Malformed("too deep, or too many elements")
        if found.tag & CONSTRUCTED:
            _check_constructed(found)
            ends.append(found.end)
            at = found.start
        else:
            _check_primitive(octets, found)
            at = found.end
        while ends and ends[-1] == at:
            ends.pop()


def _check_constructed(found: Element) -> None:
    if found.tag < _APPLICATION and found.tag not in (SEQUENCE, SET):
        raise Malformed(f"not DER: a value in pieces at octet {found.at}")


def _check_primitive(octets: bytes, found: Element) -> None:
    content = octets[found.start : found.end]
    if found.tag in (INTEGER, ENUMERATED):
        integer(octets, found, "a number", found.tag)
    elif found.tag == OID:
        dotted(content)
    elif found.tag == BOOLEAN and content not in (b"\x00", b"\xff"):
        raise Malformed(f"not DER: a BOOLEAN that is not 00 or FF at octet {found.at}")
    elif found.tag == BIT_STRING and not is_bit_string(content):
        raise Malformed(f"not DER: a BIT STRING with wrong unused bits at octet {found.at}")
    elif found.tag in (0x00, SEQUENCE & ~CONSTRUCTED, SET & ~CONSTRUCTED):
        raise Malformed(f"not DER: a structure that is not constructed at octet {found.at}")
    elif found.tag == NULL and content:
        raise Malformed(f"not DER: a NULL with content at octet {found.at}")


def is_bit_string(content: bytes) -> bool:
    """Tell whether the unused bits of a BIT STRING are counted rightly and zero."""
    if not content or content[0] > 7 or (content[0] and len(content) == 1):  # noqa: PLR2004 - bits of an octet
        return False
    return not content[0] or not content[-1] & ((1 << content[0]) - 1)


def in_order(octets: bytes, found: list[Element]) -> bool:
    """Tell whether the elements of a SET OF stand in DER's order, each once (X.690 11.6)."""
    texts = [encoded(octets, one) for one in found]
    return all(one < other for one, other in pairwise(texts))
