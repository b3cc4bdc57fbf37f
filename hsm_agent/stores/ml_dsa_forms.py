"""ML-DSA keys as OpenSSL writes them, seed and expanded key together (RFC 9881 section 6)."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import mldsa

from hsm_agent.stores.store import Unsupported

SEED_OCTETS = 32
_SEQUENCE, _INTEGER, _OCTET_STRING = 0x30, 0x02, 0x04
MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Sizes of one parameter set (FIPS 204 section 4)."""

    key: type[MlDsaKey]
    rows: int
    columns: int
    expanded_octets: int


_BY_LAST_OCTET = {
    17: _Parameters(mldsa.MLDSA44PrivateKey, 4, 4, 2560),
    18: _Parameters(mldsa.MLDSA65PrivateKey, 6, 5, 4032),
    19: _Parameters(mldsa.MLDSA87PrivateKey, 8, 7, 4896),
}
_IDENTIFIER = bytes.fromhex("06096086480165030403")
"""2.16.840.1.101.3.4.3 without the arc of the parameter set."""


def from_both_forms(pkcs8: bytes) -> MlDsaKey | None:
    """Return the key of a PKCS#8 file with seed and expanded key; ``None`` for any other file.

    Raises:
        Unsupported: both halves are there and do not belong together.
    """
    try:
        (outer,) = _elements(pkcs8)
        version, algorithm, secret = _elements(outer[1])[:3]
        (both,) = _elements(secret[1])
        seed, expanded = _elements(both[1])
    except ValueError:
        return None
    parameters = _parameters(algorithm[1])
    tags = [part[0] for part in (outer, version, algorithm, secret, both, seed, expanded)]
    shape = [_SEQUENCE, _INTEGER, _SEQUENCE, _OCTET_STRING, _SEQUENCE, _OCTET_STRING, _OCTET_STRING]
    if parameters is None or tags != shape:
        return None
    return _checked(parameters, seed[1], expanded[1])


def _parameters(algorithm: bytes) -> _Parameters | None:
    known = len(algorithm) == len(_IDENTIFIER) + 1 and algorithm.startswith(_IDENTIFIER)
    return _BY_LAST_OCTET.get(algorithm[-1]) if known else None


def _checked(parameters: _Parameters, seed: bytes, expanded: bytes) -> MlDsaKey:
    if len(seed) != SEED_OCTETS or len(expanded) != parameters.expanded_octets:
        raise Unsupported("an ML-DSA key of wrong length")
    key = parameters.key.from_seed_bytes(seed)
    public = key.public_key().public_bytes_raw()
    sizes = bytes((parameters.rows, parameters.columns))
    derived = hashlib.shake_256(seed + sizes).digest(128)
    # FIPS 204 algorithm 6: rho || K || tr open the expanded key.
    begins = public[:32] + derived[96:128] + hashlib.shake_256(public).digest(64)
    if not expanded.startswith(begins):
        raise Unsupported("seed and expanded key of this ML-DSA key disagree")
    return key


def _elements(octets: bytes) -> list[tuple[int, bytes]]:
    """Return tags and contents of the elements that stand one after the other.

    Raises:
        ValueError: they are no DER elements with short tags.
    """
    found = []
    while octets:
        start = 2
        size = int.from_bytes(octets[1:2], "big")
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(octets[2:start], "big")
        content = octets[start : start + size]
        if len(octets) < start or len(content) != size:
            raise ValueError("cut off")
        found.append((octets[0], content))
        octets = octets[start + size :]
    return found
