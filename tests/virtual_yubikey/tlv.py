"""BER-TLV as smart cards speak it: tags of one or two octets, definite lengths."""

from collections.abc import Iterator


class MalformedTlv(ValueError):
    """The octets end within a tag, a length or a value."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return one element; its content is what the parts are together."""
    content = b"".join(parts)
    return tag.to_bytes(2 if tag > 0xFF else 1, "big") + _length(len(content)) + content


def read_tlvs(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element in turn.

    Raises:
        MalformedTlv: what stands there is not a row of elements.
    """
    offset = 0
    while offset < len(octets):
        width = 2 if octets[offset] & 0x1F == 0x1F else 1
        tag = int.from_bytes(_take(octets, offset, width), "big")
        length, start = _read_length(octets, offset + width)
        yield tag, _take(octets, start, length)
        offset = start + length


def read_tlv_map(octets: bytes) -> dict[int, bytes]:
    """Return the elements by tag; of two with one tag the last counts."""
    return dict(read_tlvs(octets))


def unwrap(tag: int, octets: bytes) -> bytes:
    """Return the content of the single element that must stand there.

    Raises:
        MalformedTlv: it is another one, or there are several.
    """
    elements = list(read_tlvs(octets))
    if len(elements) != 1 or elements[0][0] != tag:
        raise MalformedTlv(f"expected one element of tag {tag:02X}")
    return elements[0][1]


def _length(number: int) -> bytes:
    if number < 0x80:
        return bytes([number])
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def _read_length(octets: bytes, offset: int) -> tuple[int, int]:
    """Return the length that stands at an offset, and where the content begins."""
    first = _take(octets, offset, 1)[0]
    if first < 0x80:
        return first, offset + 1
    width = first & 0x7F
    if not 1 <= width <= 3:
        raise MalformedTlv("a length of more than three octets, or an indefinite one")
    return int.from_bytes(_take(octets, offset + 1, width), "big"), offset + 1 + width


def _take(octets: bytes, offset: int, length: int) -> bytes:
    taken = octets[offset : offset + length]
    if len(taken) != length:
        raise MalformedTlv("the octets end too early")
    return taken
