"""Key types and signature algorithms by our names, for keys of the library."""

from collections.abc import Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.stores.store import Unsupported

HASHES: Mapping[str, type[hashes.HashAlgorithm]] = MappingProxyType(
    {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
)
"""The hashes that are signed with, by our names."""

CURVES: Mapping[str, type[ec.EllipticCurve]] = MappingProxyType(
    {
        "ec-p256": ec.SECP256R1,
        "ec-p384": ec.SECP384R1,
        "ec-p521": ec.SECP521R1,
        "ec-secp256k1": ec.SECP256K1,
    }
)
"""The curves of ECDSA keys, by our names of the key types."""

RSA_BITS: Mapping[str, int] = MappingProxyType({f"rsa-{n}": n for n in (2048, 3072, 4096)})
"""The sizes of RSA keys, by our names of the key types."""

_CURVE_NAMES: dict[str, str] = {str(curve.name): name for name, curve in CURVES.items()}
_MESSAGE_KEYS: tuple[tuple[type[PublicKeyTypes], str], ...] = (
    (ed25519.Ed25519PublicKey, "ed25519"),
    (ed448.Ed448PublicKey, "ed448"),
    (mldsa.MLDSA44PublicKey, "ml-dsa-44"),
    (mldsa.MLDSA65PublicKey, "ml-dsa-65"),
    (mldsa.MLDSA87PublicKey, "ml-dsa-87"),
)
KEY_TYPES = (*RSA_BITS, *CURVES, *(name for _, name in _MESSAGE_KEYS))
"""All key types that sign."""

PKCS1 = padding.PKCS1v15()
"""RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2)."""


def key_type_of(key: PublicKeyTypes) -> str:
    """Return our name of a public key's type.

    Raises:
        Unsupported: it is of no type that signs here.
    """
    if isinstance(key, rsa.RSAPublicKey) and f"rsa-{key.key_size}" in RSA_BITS:
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVE_NAMES:
        return _CURVE_NAMES[key.curve.name]
    for kind, name in _MESSAGE_KEYS:
        if isinstance(key, kind):
            return name
    raise Unsupported(f"the key is of another type than {', '.join(KEY_TYPES)}")


def algorithms_of(key_type: str) -> tuple[str, ...]:
    """Return the signature algorithms of a key type, the usual one first."""
    if key_type in RSA_BITS:
        return tuple(f"{family}-{name}" for family in ("rsa", "rsa-pss") for name in HASHES)
    if key_type in CURVES:
        usual = {"ec-p384": "sha384", "ec-p521": "sha512"}.get(key_type, "sha256")
        return tuple(f"ecdsa-{name}" for name in dict.fromkeys((usual, *HASHES)))
    return (key_type,)


def spki_of(key: PublicKeyTypes) -> bytes:
    """Return SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pss_padding(hashed: hashes.HashAlgorithm) -> padding.PSS:
    """Return RSASSA-PSS as certificates use it: MGF1 over the same hash, a salt of its length."""
    return padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
