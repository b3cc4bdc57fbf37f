"""PEM, the textual encoding of RFC 7468: blocks of base64 between BEGIN and END lines."""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

from pikaserver.api.errors import MalformedRequest

_LINE_OCTETS = 64
_LINE_DER = 48
_DECODED_TOGETHER = 64 * 1024
_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9][A-Z0-9 #._/-]{0,60}?)-----")


def read_pem(text: bytes, *labels: str) -> list[bytes]:
    """Return the DER of every block with one of these labels, in their order.

    Text around the blocks and blocks with other labels are passed over.

    Raises:
        MalformedRequest: no such block, a block without its end, or one that is not base64.
    """
    seen: list[str] = []
    found: list[bytes] = []
    for label, body in pem_blocks(text):
        seen.append(label)
        if label in labels:
            found.append(_decode(label, body))
    if not found:
        wanted = " or ".join(labels)
        there = ", ".join(dict.fromkeys(seen)) or "none"
        raise MalformedRequest(f"expected a PEM block {wanted}, found {there}")
    return found


def pem_blocks(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield label and body, still in base64, of each block.

    Raises:
        MalformedRequest: a boundary is where it should not be.
    """
    begun: re.Match[bytes] | None = None
    for boundary in _BOUNDARY.finditer(text):
        begins = boundary[1] == b"BEGIN"
        if begun is None and begins:
            begun = boundary
        elif begun is not None and not begins and begun[2] == boundary[2]:
            yield boundary[2].decode("ascii"), text[begun.end() : boundary.start()]
            begun = None
        else:
            raise MalformedRequest("a PEM block begins or ends where it should not")
    if begun is not None:
        raise MalformedRequest(f"the PEM block {begun[2].decode('ascii')} has no end")


def _decode(label: str, body: bytes) -> bytes:
    if b":" in body:
        raise MalformedRequest(f"the PEM block {label} has headers, as encrypted ones have")
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise MalformedRequest(f"the PEM block {label} is not base64") from None


def is_pem(octets: bytes) -> bool:
    """Tell whether these octets look like PEM and not like DER."""
    return b"-----BEGIN " in octets


def der_pieces(lines: Iterable[bytes], label: str) -> Iterator[bytes]:
    """Yield the DER of the first block with this label as its lines come.

    Raises:
        MalformedRequest: there is none, it has no end, or is not base64.
    """
    begin, end = (f"-----{word} {label}-----".encode("ascii") for word in ("BEGIN", "END"))
    inside, rest = False, bytearray()
    for line in lines:
        text = line.strip()
        if not inside:
            inside = text == begin
        elif text == end:
            yield _decode(label, bytes(rest))
            return
        else:
            rest += text
        if len(rest) > _DECODED_TOGETHER:
            # What is behind a padding is no base64 any more: the last four wait for the end.
            whole = len(rest) // 4 * 4 - 4
            yield _decode(label, bytes(rest[:whole]))
            del rest[:whole]
    raise MalformedRequest(f"expected a whole PEM block {label}")


def pem_size(label: str, size: int) -> int:
    """Return how long one block over so many octets of DER is."""
    text = (size + 2) // 3 * 4
    lines = (text + _LINE_OCTETS - 1) // _LINE_OCTETS
    return text + lines + 2 * len(label) + len("-----BEGIN -----\n-----END -----\n")


def pem_pieces(label: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield one block as its DER comes, so that a large one needs no memory."""
    yield f"-----BEGIN {label}-----\n".encode("ascii")
    rest = b""
    for piece in pieces:
        octets = rest + piece
        whole = len(octets) // _LINE_DER * _LINE_DER
        rest = octets[whole:]
        yield _lines(octets[:whole])
    yield _lines(rest)
    yield f"-----END {label}-----\n".encode("ascii")


def _lines(der: bytes) -> bytes:
    text = base64.b64encode(der)
    return b"".join(
        text[at : at + _LINE_OCTETS] + b"\n" for at in range(0, len(text), _LINE_OCTETS)
    )


def write_pem(label: str, der: bytes) -> bytes:
    """Return one block, in lines of 64 characters."""
    return b"".join(pem_pieces(label, [der]))
