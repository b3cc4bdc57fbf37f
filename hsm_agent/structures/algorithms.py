"""Signature algorithms and public keys by our names, and their identifiers in DER.

The names are those of the protocol (``docs/reference``); nothing else about them is shared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.structures import writing
from hsm_agent.structures.der import (
    BIT_STRING,
    INTEGER,
    SEQUENCE,
    Malformed,
    children,
    encoded,
    expect,
    fields,
    integer,
    object_identifier,
    read_element,
    whole,
)

HASH_OIDS = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sha3-256": "2.16.840.1.101.3.4.2.8",
    "sha3-384": "2.16.840.1.101.3.4.2.9",
    "sha3-512": "2.16.840.1.101.3.4.2.10",
}
DIGEST_OCTETS = {
    "sha1": 20,
    "sha256": 32,
    "sha384": 48,
    "sha512": 64,
    "sha3-256": 32,
    "sha3-384": 48,
    "sha3-512": 64,
}
_SIGNING_HASHES = ("sha256", "sha384", "sha512")
_NULL = b"\x05\x00"
_CURVES = {
    "ec-p256": "1.2.840.10045.3.1.7",
    "ec-p384": "1.3.132.0.34",
    "ec-p521": "1.3.132.0.35",
    "ec-secp256k1": "1.3.132.0.10",
}
_SLH_DSA_SIZES = {"128s": 32, "128f": 32, "192s": 48, "192f": 48, "256s": 64, "256f": 64}
_MESSAGE_ALGORITHMS = {  # the key's identifier is the signature's, and its octets are counted
    "ed25519": ("1.3.101.112", 32),
    "ed448": ("1.3.101.113", 57),
    "ml-dsa-44": ("2.16.840.1.101.3.4.3.17", 1312),
    "ml-dsa-65": ("2.16.840.1.101.3.4.3.18", 1952),
    "ml-dsa-87": ("2.16.840.1.101.3.4.3.19", 2592),
    **{
        f"slh-dsa-{family}-{size}": (f"2.16.840.1.101.3.4.3.{first + number}", octets)
        for family, first in (("sha2", 20), ("shake", 26))
        for number, (size, octets) in enumerate(_SLH_DSA_SIZES.items())
    },
}
_AGREEMENT_KEYS = {  # they sign nothing, and may be certified
    "x25519": ("1.3.101.110", 32),
    "x448": ("1.3.101.111", 56),
    "ml-kem-512": ("2.16.840.1.101.3.4.4.1", 800),
    "ml-kem-768": ("2.16.840.1.101.3.4.4.2", 1184),
    "ml-kem-1024": ("2.16.840.1.101.3.4.4.3", 1568),
}
_LEAST_EXPONENT = 65537


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """One way to sign; ``identifier`` is the AlgorithmIdentifier in DER.

    ``family`` is ``rsa``, ``rsa-pss``, ``ecdsa`` or the name itself; ``hash`` is ``None`` where
    the message is taken as it is.
    """

    name: str
    identifier: bytes
    family: str
    hash: str | None


def _signature_algorithms() -> Mapping[str, SignatureAlgorithm]:
    table = []
    for place, name in enumerate(_SIGNING_HASHES):
        rsa = _identifier(f"1.2.840.113549.1.1.{11 + place}", _NULL)
        ecdsa = _identifier(f"1.2.840.10045.4.3.{2 + place}")
        table += [
            SignatureAlgorithm(f"rsa-{name}", rsa, "rsa", name),
            SignatureAlgorithm(f"rsa-pss-{name}", _pss_identifier(name), "rsa-pss", name),
            SignatureAlgorithm(f"ecdsa-{name}", ecdsa, "ecdsa", name),
        ]
    table += [
        SignatureAlgorithm(name, _identifier(oid), name, None)
        for name, (oid, _) in _MESSAGE_ALGORITHMS.items()
    ]
    return MappingProxyType({entry.name: entry for entry in table})


def _identifier(oid: str, *parameters: bytes) -> bytes:
    return writing.sequence(writing.oid(oid), *parameters)


def _pss_identifier(hash_name: str) -> bytes:
    """RFC 4055 section 3.1: one hash for all, a salt of its length, hash parameters NULL."""
    hashed = _identifier(HASH_OIDS[hash_name], _NULL)
    salt = writing.element(INTEGER, bytes([DIGEST_OCTETS[hash_name]]))
    parts = (hashed, _identifier("1.2.840.113549.1.1.8", hashed), salt)
    tagged = (writing.element(0xA0 | number, part) for number, part in enumerate(parts))
    return _identifier("1.2.840.113549.1.1.10", writing.sequence(*tagged))


SIGNATURE_ALGORITHMS = _signature_algorithms()
"""All signature algorithms by our names."""

_RSA = _identifier("1.2.840.113549.1.1.1", _NULL)
_PLAIN_KEYS = {
    _identifier(oid): (name, octets)
    for name, (oid, octets) in (_MESSAGE_ALGORITHMS | _AGREEMENT_KEYS).items()
}
_EC_KEYS = {
    _identifier("1.2.840.10045.2.1", writing.oid(curve)): name for name, curve in _CURVES.items()
}
_BY_IDENTIFIER = {entry.identifier: entry.name for entry in SIGNATURE_ALGORITHMS.values()}
HASH_NAMES = {oid: name for name, oid in HASH_OIDS.items()}

KEY_TYPES = (
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    *_CURVES,
    *_MESSAGE_ALGORITHMS,
    *_AGREEMENT_KEYS,
)
"""Names of key types; RSA keys of other sizes are called alike."""


def algorithm_name(octets: bytes, found_at: int, end: int) -> str:
    """Return our name of the AlgorithmIdentifier at this place, or its dotted OID.

    The parameters count: an identifier with others than those of the RFC has no name.

    Raises:
        Malformed: it is no AlgorithmIdentifier.
    """
    name = _BY_IDENTIFIER.get(octets[found_at:end])
    if name is not None:
        return name
    outer = read_element(octets, found_at, end)
    parts = fields(octets, outer, "an AlgorithmIdentifier", 0x06)
    return object_identifier(octets, parts[0], "an algorithm")


def hash_name(identifier: bytes) -> str:
    """Return our name of a hash's AlgorithmIdentifier, or its dotted OID.

    RFC 5754 section 2 lets its parameters be absent or NULL.

    Raises:
        Malformed: it is none, or has other parameters.
    """
    outer = whole(identifier, "hash's AlgorithmIdentifier")
    parts = fields(identifier, outer, "an AlgorithmIdentifier", 0x06)
    if len(parts) > 1 and identifier[parts[1].at : outer.end] != _NULL:
        raise Malformed("a hash with parameters")
    oid = object_identifier(identifier, parts[0], "a hash")
    return HASH_NAMES.get(oid, oid)


@lru_cache(maxsize=256)
def key_type(spki: bytes) -> str:
    """Return our name of a key's type: ``ec-p256``, ``rsa-2048``, ``unknown``.

    Parameters count: an ML-DSA key with NULL, or a curve that is spelt out, is unknown.

    Raises:
        Malformed: it is no SubjectPublicKeyInfo, or no key of the type that it names.
    """
    algorithm, key = _halves(spki)
    if algorithm == _RSA:
        return f"rsa-{_rsa_bits(key)}"
    if algorithm in _EC_KEYS:
        _check_point(spki)
        return _EC_KEYS[algorithm]
    name, octets = _PLAIN_KEYS.get(algorithm, ("unknown", len(key)))
    if len(key) != octets:
        raise Malformed(f"a public key of {len(key)} octets that is no {name} key")
    return name


def key_octets(spki: bytes) -> bytes:
    """Return what subjectPublicKey holds; OCSP and key identifiers hash it.

    Raises:
        Malformed: it is no SubjectPublicKeyInfo.
    """
    return _halves(spki)[1]


def fits(algorithm: str, kind_of_key: str) -> bool:
    """Tell whether a key of this type signs with this algorithm."""
    entry = SIGNATURE_ALGORITHMS.get(algorithm)
    if entry is None:
        return False
    if entry.family in ("rsa", "rsa-pss"):
        return kind_of_key.startswith("rsa-")
    if entry.family == "ecdsa":
        return kind_of_key in _CURVES
    return kind_of_key == entry.name


def _halves(spki: bytes) -> tuple[bytes, bytes]:
    outer = whole(spki, "SubjectPublicKeyInfo")
    parts = fields(spki, outer, "a SubjectPublicKeyInfo", SEQUENCE, BIT_STRING)
    bits = expect(spki, parts[1], BIT_STRING, "a public key")
    if len(parts) != 2 or not bits or bits[0] != 0:  # noqa: PLR2004 - algorithm and key
        raise Malformed("not a SubjectPublicKeyInfo")
    return encoded(spki, parts[0]), bits[1:]


def _rsa_bits(key: bytes) -> int:
    """RFC 8017 appendix A.1.1; even moduli and small exponents are no keys to certify."""
    parts = children(key, whole(key, "RSA key"))
    if [part.tag for part in parts] != [INTEGER, INTEGER]:
        raise Malformed("not an RSA key")
    modulus, exponent = (integer(key, part, "a number of an RSA key") for part in parts)
    if modulus <= 0 or not modulus & 1 or exponent < _LEAST_EXPONENT or not exponent & 1:
        raise Malformed("an RSA key with an even modulus, or an exponent below 65537")
    return modulus.bit_length()


def _check_point(spki: bytes) -> None:
    try:
        load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed("an EC key whose point is not on its curve") from None
