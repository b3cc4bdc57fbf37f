"""Keys that cannot sign: ML-KEM (FIPS 203) as certificates carry it (RFC 9935)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.identifiers import identifier, key_algorithm, key_bits

PREFIX = "ml-kem-"
"""How the names of all of them begin."""

SEED_OCTETS = 64
"""d and z (FIPS 203 section 7.1): what a private key is."""

_MODULUS = 3329
_RHO_OCTETS = 32
_POLYNOMIAL_OCTETS = 384


@dataclass(frozen=True, slots=True)
class KemKeyType:
    """One parameter set of ML-KEM; ``rank`` is k of FIPS 203 section 8."""

    name: str
    identifier: bytes
    rank: int
    category: int
    ciphertext_octets: int

    @property
    def public_octets(self) -> int:
        """How long an encapsulation key is."""
        return _POLYNOMIAL_OCTETS * self.rank + _RHO_OCTETS


KEM_KEY_TYPES: Mapping[str, KemKeyType] = MappingProxyType(
    {
        name: KemKeyType(name, identifier(oid), rank, category, octets)
        for name, oid, rank, category, octets in (
            ("ml-kem-512", "2.16.840.1.101.3.4.4.1", 2, 1, 768),
            ("ml-kem-768", "2.16.840.1.101.3.4.4.2", 3, 3, 1088),
            ("ml-kem-1024", "2.16.840.1.101.3.4.4.3", 4, 5, 1568),
        )
    }
)
"""All of them by our names; parameters are absent (RFC 9935 section 3)."""

_BY_IDENTIFIER = {entry.identifier: entry.name for entry in KEM_KEY_TYPES.values()}


def kem_key_type(spki: bytes) -> str | None:
    """Return our name of an ML-KEM key's type, ``None`` for keys of all other kinds.

    Raises:
        MalformedRequest: it is not a SubjectPublicKeyInfo.
    """
    return _BY_IDENTIFIER.get(key_algorithm(spki))


def check_encapsulation_key(spki: bytes) -> None:
    """Check what anybody can check of an encapsulation key (FIPS 203 section 7.2).

    Raises:
        MalformedRequest: it is no ML-KEM key, has a wrong length, or a coefficient of it is not
            reduced modulo 3329.
    """
    name = kem_key_type(spki)
    if name is None:
        raise MalformedRequest("not an ML-KEM key")
    entry = KEM_KEY_TYPES[name]
    key = key_bits(spki)
    if len(key) != entry.public_octets:
        raise MalformedRequest(f"an {name} key has {entry.public_octets} octets, not {len(key)}")
    # Two coefficients of 12 bits stand in three octets, the lowest bits first.
    for first, middle, last in zip(*(iter(key[:-_RHO_OCTETS]),) * 3, strict=True):
        low, high = first | (middle & 0x0F) << 8, middle >> 4 | last << 4
        if low >= _MODULUS or high >= _MODULUS:
            raise MalformedRequest(f"a coefficient of the {name} key is not below {_MODULUS}")
