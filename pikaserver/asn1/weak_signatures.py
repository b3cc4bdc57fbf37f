"""RSA signatures over SHA-1 and MD5, verified for old devices where a template lets them in."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from pikaserver.api.errors import AlgorithmRefused, SignatureFaulty
from pikaserver.asn1.algorithms import PKCS1, public_key
from pikaserver.asn1.identifiers import read_oid

MD5_OID = "1.2.840.113549.2.5"
WEAK_HASHES = ("sha1", "md5")
"""Hashes with which nothing is proved any more but to those who have no choice."""

WEAK_ALGORITHMS: Mapping[str, str] = MappingProxyType({f"rsa-{name}": name for name in WEAK_HASHES})
"""What signs over them, by the names of signature algorithms; it is in no other table."""

_WITH_RSA: Mapping[str, str] = MappingProxyType(
    {"1.2.840.113549.1.1.5": "sha1", "1.2.840.113549.1.1.4": "md5"}
)
_HASHES: dict[str, hashes.HashAlgorithm] = {"sha1": hashes.SHA1(), "md5": hashes.MD5()}  # noqa: S303 - for old devices


def weak_hash(identifier_der: bytes) -> str | None:
    """Return the weak hash that a signature's AlgorithmIdentifier names, if any."""
    return _WITH_RSA.get(read_oid(identifier_der))


def hash_of_weak(hash_name: str) -> hashes.HashAlgorithm:
    """Return SHA-1 or MD5."""
    return _HASHES[hash_name]


def verify_weak(
    spki: bytes, hash_name: str, signature: bytes, message: bytes, *, accepted: Collection[str]
) -> None:
    """Return when an RSA signature over a weak hash is this key's.

    Raises:
        AlgorithmRefused: the hash is not among those accepted here.
        SignatureFaulty: it is not.
    """
    if hash_name not in accepted:
        raise AlgorithmRefused(f"{hash_name.upper()} with RSA is broken and not accepted here")
    key = public_key(spki)
    if not isinstance(key, rsa.RSAPublicKey):
        raise SignatureFaulty("the public key is not one for RSA")
    try:
        key.verify(signature, message, PKCS1, _HASHES[hash_name])
    except (InvalidSignature, ValueError):
        raise SignatureFaulty(f"the {hash_name} signature does not verify") from None
