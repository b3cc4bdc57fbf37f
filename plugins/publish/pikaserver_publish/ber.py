"""What of BER an LDAP server sends (RFC 4511 section 5.1): definite lengths of any size."""

from collections.abc import Callable
from typing import NamedTuple

from pikaserver.api.errors import MalformedRequest

_LONG = 0x80
_LENGTH_OCTETS = 4
_TAG_NUMBER = 0x1F


class Value(NamedTuple):
    """One element: its identifier octet and its content."""

    tag: int
    content: bytes


def read_values(octets: bytes) -> list[Value]:
    """Return the elements that stand one behind the other.

    Raises:
        MalformedRequest: they are no such elements.
    """
    found: list[Value] = []
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        if position + count > len(octets):
            raise MalformedRequest("an LDAP message is cut off")
        position += count
        return octets[position - count : position]

    while position < len(octets):
        found.append(read_value(take, len(octets)))
    return found


def read_value(take: Callable[[int], bytes], limit_octets: int) -> Value:
    """Return the next element; ``take`` gives so many octets.

    Raises:
        MalformedRequest: it is none, or larger than the limit.
    """
    tag, size = take(2)
    if tag & _TAG_NUMBER == _TAG_NUMBER:
        raise MalformedRequest("an LDAP message has a tag above 30")
    if size >= _LONG:
        count = size & ~_LONG
        if not 0 < count <= _LENGTH_OCTETS:
            raise MalformedRequest("an LDAP message has no readable length")
        size = int.from_bytes(take(count), "big")
    if size > limit_octets:
        raise MalformedRequest(f"an LDAP message of {size} octets")
    return Value(tag, take(size))
