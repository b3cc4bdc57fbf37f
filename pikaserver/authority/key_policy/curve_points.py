"""Public keys on Edwards curves: canonical, on the curve and not of small order.

cryptography, and OpenSSL below it, accept any octets of the right length as such a key.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Edwards:
    """``a * x**2 + y**2 = 1 + d * x**2 * y**2`` modulo ``p``; ``small`` are y's of small order."""

    p: int
    a: int
    d: int
    small: frozenset[int]


_P25519 = 2**255 - 19
_P448 = 2**448 - 2**224 - 1
_D25519 = -121665 * pow(121666, -1, _P25519) % _P25519
# RFC 8032 section 5.1; the last pair are the points of order 8.
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_ED25519 = _Edwards(
    _P25519, -1, _D25519, frozenset({0, 1, _P25519 - 1, _ORDER_8, _P25519 - _ORDER_8})
)
_ED448 = _Edwards(_P448, 1, -39081 % _P448, frozenset({0, 1, _P448 - 1}))


def edwards_weakness(octets: bytes) -> str | None:
    """Return what is wrong with an Ed25519 (32 octets) or Ed448 (57 octets) public key.

    RFC 8032 sections 5.1.3 and 5.2.3 decode points; those of small order sign anything.
    """
    curve = _ED25519 if len(octets) == 32 else _ED448  # noqa: PLR2004 - RFC 8032
    # The highest bit is the sign of x; it tells nothing about the point's quality.
    y = int.from_bytes(octets, "little") & ((1 << (len(octets) * 8 - 1)) - 1)
    if y >= curve.p:
        return "its point is not encoded canonically"
    if y in curve.small:
        return "its point has a small order"
    above = (y * y - 1) % curve.p
    below = (curve.d * y * y - curve.a) % curve.p
    if pow(above * below, (curve.p - 1) // 2, curve.p) != 1:
        return "its point is not on the curve"
    return None
