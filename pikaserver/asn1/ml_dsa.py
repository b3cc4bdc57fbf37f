"""ML-DSA key pairs (FIPS 204) expanded from their seeds, and expanded keys checked.

For bringing keys in and handing them out alone: it takes some ten milliseconds, and time that
depends on the key.  Whoever signs leaves this to a library.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pikaserver.api.errors import MalformedRequest

SEED_OCTETS = 32
_Q = 8_380_417
_N = 256
_DROPPED_BITS = 13  # d
_ROOT_OF_UNITY = 1753
_INVERSE_OF_N = 8_347_681
_Polynomial = list[int]


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One column of FIPS 204 table 1."""

    name: str
    k: int
    l: int  # noqa: E741 - FIPS 204 calls it so
    eta: int

    @property
    def public_octets(self) -> int:
        """The length of a public key."""
        return 32 + 320 * self.k

    @property
    def expanded_octets(self) -> int:
        """The length of an expanded private key."""
        return 128 + 32 * self.small_bits * (self.k + self.l) + 416 * self.k

    @property
    def small_bits(self) -> int:
        """How many bits a coefficient of s1 and s2 takes."""
        return (2 * self.eta).bit_length()


PARAMETER_SETS: Mapping[str, ParameterSet] = MappingProxyType(
    {
        one.name: one
        for one in (
            ParameterSet("ml-dsa-44", 4, 4, 2),
            ParameterSet("ml-dsa-65", 6, 5, 4),
            ParameterSet("ml-dsa-87", 8, 7, 2),
        )
    }
)
"""The three parameter sets by our names."""


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What an expanded key holds beside its hashes: rho, and s1 and s2 behind each other."""

    rho: bytes
    small: Sequence[_Polynomial]


def expand(name: str, seed: bytes) -> tuple[bytes, bytes]:
    """Return the public key and the expanded private key of a seed (algorithm 6)."""
    chosen = PARAMETER_SETS[name]
    octets = hashlib.shake_256(seed + bytes((chosen.k, chosen.l))).digest(128)
    rho, for_secrets, signing_seed = octets[:32], octets[32:96], octets[96:]
    small = [_small(chosen, for_secrets, nonce) for nonce in range(chosen.l + chosen.k)]
    public, low = _public(chosen, _Secrets(rho, small))
    expanded = b"".join(
        (
            rho,
            signing_seed,
            hashlib.shake_256(public).digest(64),
            *(_pack([chosen.eta - c for c in one], chosen.small_bits) for one in small),
            *(_pack([(1 << 12) - c for c in one], _DROPPED_BITS) for one in low),
        )
    )
    return public, expanded


def public_key_of(name: str, expanded: bytes) -> bytes:
    """Return the public key that belongs to an expanded private key (algorithm 24).

    Raises:
        MalformedRequest: it has another length, or its parts contradict each other.
    """
    chosen = PARAMETER_SETS[name]
    if len(expanded) != chosen.expanded_octets:
        raise MalformedRequest(f"an expanded {name} key has {chosen.expanded_octets} octets")
    size = 32 * chosen.small_bits
    low_at = 128 + size * (chosen.k + chosen.l)
    small = [
        [chosen.eta - c for c in _unpack(expanded[at : at + size], chosen.small_bits)]
        for at in range(128, low_at, size)
    ]
    if any(abs(c) > chosen.eta for one in small for c in one):
        raise MalformedRequest(f"an expanded {name} key with coefficients that are too large")
    public, low = _public(chosen, _Secrets(expanded[:32], small))
    packed = b"".join(_pack([(1 << 12) - c for c in one], _DROPPED_BITS) for one in low)
    if (hashlib.shake_256(public).digest(64), packed) != (expanded[64:128], expanded[low_at:]):
        raise MalformedRequest(f"the parts of this expanded {name} key contradict each other")
    return public


def _public(chosen: ParameterSet, secrets: _Secrets) -> tuple[bytes, list[_Polynomial]]:
    """Return the public key and t0 (algorithm 6, lines 3 to 8)."""
    transformed = [_ntt(one) for one in secrets.small[: chosen.l]]
    high, low = [], []
    for row in range(chosen.k):
        total = [0] * _N
        for column, one in enumerate(transformed):
            entry = _uniform(secrets.rho + bytes((column, row)))
            total = [(t + a * b) % _Q for t, a, b in zip(total, entry, one, strict=True)]
        product = _inverse_ntt(total)
        added = secrets.small[chosen.l + row]
        rounded = [_rounded((a + b) % _Q) for a, b in zip(product, added, strict=True)]
        high.append([first for first, _ in rounded])
        low.append([second for _, second in rounded])
    return secrets.rho + b"".join(_pack(one, 10) for one in high), low


def _rounded(value: int) -> tuple[int, int]:
    """Return t1 and t0 of one coefficient (algorithm 35)."""
    low = value % (1 << _DROPPED_BITS)
    if low > 1 << (_DROPPED_BITS - 1):
        low -= 1 << _DROPPED_BITS
    return (value - low) >> _DROPPED_BITS, low


def _uniform(seed: bytes) -> _Polynomial:
    """Return an entry of the matrix A (algorithm 30)."""
    length = 3 * 320
    while True:
        octets = hashlib.shake_128(seed).digest(length)
        found = [
            value
            for at in range(0, length, 3)
            if (value := int.from_bytes(octets[at : at + 3], "little") & 0x7FFFFF) < _Q
        ]
        if len(found) >= _N:
            return found[:_N]
        length *= 2


def _small(chosen: ParameterSet, seed: bytes, nonce: int) -> _Polynomial:
    """Return a polynomial of s1 or s2 (algorithm 31)."""
    length = 512
    while True:
        octets = hashlib.shake_256(seed + nonce.to_bytes(2, "little")).digest(length)
        found = list(_small_coefficients(chosen.eta, octets))
        if len(found) >= _N:
            return found[:_N]
        length *= 2


def _small_coefficients(eta: int, octets: bytes) -> Iterator[int]:
    for octet in octets:
        for half in (octet & 15, octet >> 4):
            if eta == 2 and half < 15:  # noqa: PLR2004 - algorithm 15
                yield 2 - half % 5
            elif eta == 4 and half < 9:  # noqa: PLR2004 - algorithm 15
                yield 4 - half


def _zetas() -> list[int]:
    return [pow(_ROOT_OF_UNITY, int(f"{index:08b}"[::-1], 2), _Q) for index in range(_N)]


_ZETAS = _zetas()


def _ntt(polynomial: _Polynomial) -> _Polynomial:
    """Return the number-theoretic transform (algorithm 41)."""
    found, index, length = list(polynomial), 0, _N // 2
    while length:
        for start in range(0, _N, 2 * length):
            index += 1
            zeta = _ZETAS[index]
            for at in range(start, start + length):
                turned = zeta * found[at + length] % _Q
                found[at + length] = (found[at] - turned) % _Q
                found[at] = (found[at] + turned) % _Q
        length //= 2
    return found


def _inverse_ntt(transformed: _Polynomial) -> _Polynomial:
    """Undo `_ntt` (algorithm 42)."""
    found, index, length = list(transformed), _N, 1
    while length < _N:
        for start in range(0, _N, 2 * length):
            index -= 1
            zeta = -_ZETAS[index]
            for at in range(start, start + length):
                kept = found[at]
                found[at] = (kept + found[at + length]) % _Q
                found[at + length] = zeta * (kept - found[at + length]) % _Q
        length *= 2
    return [value * _INVERSE_OF_N % _Q for value in found]


def _pack(coefficients: Sequence[int], bits: int) -> bytes:
    """Return coefficients of so many bits each (algorithm 16)."""
    number = sum(value << bits * place for place, value in enumerate(coefficients))
    return number.to_bytes(_N * bits // 8, "little")


def _unpack(octets: bytes, bits: int) -> _Polynomial:
    """Undo `_pack` (algorithm 18)."""
    number, mask = int.from_bytes(octets, "little"), (1 << bits) - 1
    return [number >> bits * place & mask for place in range(_N)]
