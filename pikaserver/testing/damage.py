"""Octets that are surely others than before.

A test that writes a fixed octet over one of a random value changes nothing once in 256 runs.
"""


def altered(octets: bytes, at: int = -1) -> bytes:
    """Return the octets with the lowest bit of one of them turned round."""
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)
