"""SLH-DSA signatures (FIPS 205) verified, which cryptography cannot do yet.

Nothing here is secret, and all of it is hashing: a verification takes some milliseconds.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature

_CHAIN_STEPS = 15  # w - 1, with w = 16 in every parameter set
_CHECKSUM_DIGITS = 3  # len2
_NO_CONTEXT = b"\0\0"  # pure signature, context of no octets (algorithm 24)

# Types of addresses (FIPS 205 section 4.2).
_WOTS_HASH, _WOTS_PK, _TREE, _FORS_TREE, _FORS_ROOTS = range(5)

_OneWay = Callable[[bytes, bytes], bytes]
"""An address and a message become one node."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One row of FIPS 205 table 2; ``oid`` is that of RFC 9909 section 3."""

    name: str
    oid: str
    category: int
    n: int
    h: int
    d: int
    a: int
    k: int
    m: int

    @property
    def public_octets(self) -> int:
        """The length of a public key."""
        return 2 * self.n

    @property
    def private_octets(self) -> int:
        """The length of a private key, whose second half is the public key."""
        return 4 * self.n

    @property
    def signature_octets(self) -> int:
        """The length of a signature."""
        return self.n * (1 + self.k * (1 + self.a) + self.h + self.d * self.chains)

    @property
    def chains(self) -> int:
        """How many chains a WOTS+ key has (len)."""
        return 2 * self.n + _CHECKSUM_DIGITS

    @property
    def tree_height(self) -> int:
        """The height of one tree (h')."""
        return self.h // self.d


def _parameter_sets() -> Iterator[ParameterSet]:
    sizes = (
        ("128s", 1, 16, 63, 7, 12, 14, 30),
        ("128f", 1, 16, 66, 22, 6, 33, 34),
        ("192s", 3, 24, 63, 7, 14, 17, 39),
        ("192f", 3, 24, 66, 22, 8, 33, 42),
        ("256s", 5, 32, 64, 8, 14, 22, 47),
        ("256f", 5, 32, 68, 17, 9, 35, 49),
    )
    arc = 20
    for family in ("sha2", "shake"):
        for size, *numbers in sizes:
            name, oid = f"slh-dsa-{family}-{size}", f"2.16.840.1.101.3.4.3.{arc}"
            yield ParameterSet(name, oid, *numbers)
            arc += 1


PARAMETER_SETS: Mapping[str, ParameterSet] = MappingProxyType(
    {one.name: one for one in _parameter_sets()}
)
"""The twelve parameter sets by our names."""


def verify(name: str, public_key: bytes, signature: bytes, message: bytes) -> None:
    """Return when a pure signature with an empty context is by this key (algorithm 20).

    Args:
        name: of the parameter set.
        public_key: its raw octets, PK.seed and PK.root.
        signature: R, SIG_FORS and SIG_HT.
        message: what was signed.

    Raises:
        InvalidSignature: it is not, or key or signature have another length.
    """
    chosen = PARAMETER_SETS[name]
    lengths = len(public_key), len(signature)
    if lengths != (chosen.public_octets, chosen.signature_octets):
        raise InvalidSignature
    if _Verification(chosen, public_key).root(signature, message) != public_key[chosen.n :]:
        raise InvalidSignature


class _Verification:
    """The computations of one key: they end in a root that is the key's, or it is no signature."""

    def __init__(self, chosen: ParameterSet, public_key: bytes) -> None:
        self._set = chosen
        self._public_key = public_key
        seed = public_key[: chosen.n]
        self._shake = "shake" in chosen.name
        if self._shake:
            self._f = self._h = _shake256(seed, chosen.n)
        else:
            self._f = _sha2("sha256", seed, chosen.n)
            self._h = _sha2("sha256" if chosen.category == 1 else "sha512", seed, chosen.n)

    def root(self, signature: bytes, message: bytes) -> bytes:
        """Return the root of the hypertree that this signature leads to (algorithm 20)."""
        size, fors = self._set.n, self._set.k * (1 + self._set.a) * self._set.n
        digest = self._message_digest(signature[:size], _NO_CONTEXT + message)
        indices, tree, leaf = self._split(digest)
        node = self._fors(signature[size : size + fors], indices, tree, leaf)
        return self._hypertree(signature[size + fors :], node, tree, leaf)

    def _message_digest(self, randomizer: bytes, message: bytes) -> bytes:
        start, length = randomizer + self._public_key, self._set.m
        if self._shake:
            return hashlib.shake_256(start + message).digest(length)
        name = "sha256" if self._set.category == 1 else "sha512"
        inner = hashlib.new(name, start + message).digest()
        return _mgf1(name, start[: 2 * self._set.n] + inner, length)

    def _split(self, digest: bytes) -> tuple[list[int], int, int]:
        chosen = self._set
        height = chosen.tree_height
        first = (chosen.k * chosen.a + 7) // 8
        second = first + (chosen.h - height + 7) // 8
        tree = int.from_bytes(digest[first:second], "big") % (1 << chosen.h - height)
        leaf = int.from_bytes(digest[second:], "big") % (1 << height)
        return _digits(digest[:first], chosen.a, chosen.k), tree, leaf

    def _fors(self, signature: bytes, indices: list[int], tree: int, leaf: int) -> bytes:
        """Return the FORS public key of a signature (algorithm 17)."""
        size, height = self._set.n, self._set.a
        place = self._place(0, tree, _FORS_TREE, leaf)
        roots = []
        for number, index in enumerate(indices):
            begin = number * (height + 1) * size
            position = (number << height) + index
            node = self._f(place + _words(0, position), signature[begin : begin + size])
            path = signature[begin + size : begin + (height + 1) * size]
            roots.append(self._climb(node, path, place, position))
        place = self._place(0, tree, _FORS_ROOTS, leaf)
        return self._h(place + _words(0, 0), b"".join(roots))

    def _hypertree(self, signature: bytes, node: bytes, tree: int, leaf: int) -> bytes:
        """Return the root above a FORS public key (algorithm 13)."""
        height, size = self._set.tree_height, self._set.n
        length, chains = (self._set.chains + height) * size, self._set.chains * size
        for layer in range(self._set.d):
            part = signature[layer * length : (layer + 1) * length]
            ends = self._wots(part[:chains], node, self._place(layer, tree, _WOTS_HASH, leaf))
            node = self._h(self._place(layer, tree, _WOTS_PK, leaf) + _words(0, 0), ends)
            node = self._climb(node, part[chains:], self._place(layer, tree, _TREE, 0), leaf)
            leaf, tree = tree % (1 << height), tree >> height
        return node

    def _wots(self, signature: bytes, node: bytes, place: bytes) -> bytes:
        """Return the ends of the WOTS+ chains of a signature over a node (algorithm 8)."""
        size, one_way = self._set.n, self._f
        digits = _digits(node, 4, 2 * size)
        checksum = sum(_CHAIN_STEPS - digit for digit in digits) << 4
        digits += _digits(checksum.to_bytes(2, "big"), 4, _CHECKSUM_DIGITS)
        ends = []
        for number, digit in enumerate(digits):
            value = signature[number * size : (number + 1) * size]
            for step in range(digit, _CHAIN_STEPS):
                value = one_way(place + _words(number, step), value)
            ends.append(value)
        return b"".join(ends)

    def _climb(self, node: bytes, path: bytes, place: bytes, position: int) -> bytes:
        """Return the root above a leaf, by the neighbours on its way (algorithms 11 and 17)."""
        size = self._set.n
        for level in range(len(path) // size):
            neighbour = path[level * size : (level + 1) * size]
            pair = neighbour + node if position & 1 else node + neighbour
            position >>= 1
            node = self._h(place + _words(level + 1, position), pair)
        return node

    def _place(self, layer: int, tree: int, kind: int, leaf: int) -> bytes:
        """Return the front of an address (section 4.2); SHA-2 takes it compressed (11.2)."""
        widths = (4, 12, 4, 4) if self._shake else (1, 8, 1, 4)
        fields = zip((layer, tree, kind, leaf), widths, strict=True)
        return b"".join(value.to_bytes(width, "big") for value, width in fields)


def _words(first: int, second: int) -> bytes:
    """Return the last two words of an address."""
    return (first << 32 | second).to_bytes(8, "big")


def _sha2(name: str, seed: bytes, size: int) -> _OneWay:
    """Return F, H or T by SHA-2 (section 11.2); seed and zeros fill the first block."""
    started = hashlib.new(name, seed)
    started.update(bytes(started.block_size - len(seed)))

    def one_way(address: bytes, message: bytes) -> bytes:
        found = started.copy()
        found.update(address + message)
        return found.digest()[:size]

    return one_way


def _shake256(seed: bytes, size: int) -> _OneWay:
    """Return F, H and T by SHAKE256 (section 11.1)."""
    started = hashlib.shake_256(seed)

    def one_way(address: bytes, message: bytes) -> bytes:
        found = started.copy()
        found.update(address + message)
        return found.digest(size)

    return one_way


def _mgf1(name: str, seed: bytes, length: int) -> bytes:
    blocks = (hashlib.new(name, seed + number.to_bytes(4, "big")).digest() for number in range(2))
    return b"".join(blocks)[:length]


def _digits(octets: bytes, bits: int, count: int) -> list[int]:
    """Return so many digits of so many bits each, from the front (algorithm 4)."""
    number, length = int.from_bytes(octets, "big"), 8 * len(octets)
    mask = (1 << bits) - 1
    return [number >> (length - bits * (place + 1)) & mask for place in range(count)]
