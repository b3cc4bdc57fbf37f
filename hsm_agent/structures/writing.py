"""The little DER that the agent writes: identifiers, and a dummy signature round octets."""

from hsm_agent.structures.der import BIT_STRING, OID, SEQUENCE

_LONG = 0x80


def element(tag: int, *contents: bytes) -> bytes:
    """Return tag, shortest length and the contents one after the other."""
    size = sum(map(len, contents))
    if size < _LONG:
        return b"".join((bytes((tag, size)), *contents))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return b"".join((bytes((tag, _LONG | len(length))), length, *contents))


def sequence(*elements: bytes) -> bytes:
    """Return a SEQUENCE."""
    return element(SEQUENCE, *elements)


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    return element(OID, *map(_base128, (first * 40 + second, *rest)))


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | _LONG)
    return bytes(reversed(octets))


def signed(tbs: bytes, identifier: bytes) -> bytes:
    """Return the octets as they look once they are signed; the signature is a single zero bit."""
    return sequence(tbs, identifier, element(BIT_STRING, b"\0\0"))
