"""BER as old devices write it (X.690 section 8), made definite so that strict readers can go on."""

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import CONSTRUCTED, LONG_LENGTH, OCTET_STRING
from pikaserver.asn1.strict import LIMIT_DEPTH, LIMIT_ELEMENTS

_TAG_NUMBER = 0x1F
_LENGTH_OCTETS = 4
_END_OF_CONTENTS = b"\x00\x00"
_PIECES = OCTET_STRING | CONSTRUCTED


def definite(octets: bytes, *, limit_octets: int) -> bytes:
    """Return one element with definite shortest lengths and its octet strings in one piece.

    What is written so already comes back as it is, octet for octet, so signatures over parts
    of it still hold.  Nothing is looked into that is primitive.

    Raises:
        MalformedRequest: it is too large, too deep, too long, cut off, or not one element.
    """
    if len(octets) > limit_octets:
        raise MalformedRequest(f"{len(octets)} octets are more than the {limit_octets} allowed")
    reader = _Reader(octets)
    element, end = reader.element(0, len(octets), LIMIT_DEPTH)
    if end != len(octets):
        raise MalformedRequest(f"{len(octets) - end} octets follow the end of the structure")
    return element


class _Reader:
    """Walks BER once and counts what it meets."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._left = LIMIT_ELEMENTS

    def element(self, at: int, limit: int, depth: int) -> tuple[bytes, int]:
        """Return the element at an offset, rewritten, and where the next one begins."""
        self._left -= 1
        if self._left < 0:
            raise MalformedRequest(f"more than {LIMIT_ELEMENTS} elements")
        tag, size, start = self._header(at, limit)
        if not tag & CONSTRUCTED:
            if size is None:
                raise MalformedRequest(f"a primitive value of indefinite length at octet {at}")
            return der.element(tag, self._octets[start : start + size]), start + size
        if not depth:
            raise MalformedRequest(f"more than {LIMIT_DEPTH} levels deep")
        inner, end = self._children(start, size, limit, depth - 1)
        if tag == _PIECES:
            return der.octet_string(b"".join(_piece(child) for child in inner)), end
        return der.element(tag, *inner), end

    def _children(
        self, start: int, size: int | None, limit: int, depth: int
    ) -> tuple[list[bytes], int]:
        end = limit if size is None else start + size
        found: list[bytes] = []
        at = start
        while at < end:
            if size is None and self._octets[at : at + 2] == _END_OF_CONTENTS:
                return found, at + 2
            child, at = self.element(at, end, depth)
            found.append(child)
        if size is None:
            raise MalformedRequest(f"the element at octet {start} has no end")
        return found, end

    def _header(self, at: int, limit: int) -> tuple[int, int | None, int]:
        """Return tag, size (``None`` for indefinite) and where the content begins."""
        if at + 2 > limit:
            raise MalformedRequest(f"an element is cut off at octet {at}")
        tag, size, start = self._octets[at], self._octets[at + 1], at + 2
        if tag & _TAG_NUMBER == _TAG_NUMBER or tag == 0:
            raise MalformedRequest(f"an unexpected tag at octet {at}")
        if size == LONG_LENGTH:
            return tag, None, start
        if size > LONG_LENGTH:
            count = size & 0x7F
            if count > _LENGTH_OCTETS or start + count > limit:
                raise MalformedRequest(f"an unreadable length at octet {at}")
            size = int.from_bytes(self._octets[start : start + count], "big")
            start += count
        if start + size > limit:
            raise MalformedRequest(f"the element at octet {at} runs past its container")
        return tag, size, start


def _piece(child: bytes) -> bytes:
    start, end = der.content(child, 0)
    if child[0] != OCTET_STRING:
        raise MalformedRequest("a piece of an octet string that is none")
    return child[start:end]
