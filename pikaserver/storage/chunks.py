"""Octets of any length in rows of bounded size."""

from collections.abc import Iterable, Iterator

CHUNK_OCTETS = 256 * 1024
"""How much of a CRL is in memory at a time."""


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces of any size to chunks of ``CHUNK_OCTETS``; the last may be shorter."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= CHUNK_OCTETS:
            yield bytes(buffer[:CHUNK_OCTETS])
            del buffer[:CHUNK_OCTETS]
    if buffer:
        yield bytes(buffer)
