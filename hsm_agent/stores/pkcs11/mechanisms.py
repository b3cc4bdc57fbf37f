"""How each signature algorithm is asked of a token, and its answer in the form of X.509.

Numbers are those of PKCS#11 3.2.  The agent hashes wherever the token lets it: what travels is
short, and the result is the same.  Parameters are always given; tokens disagree about defaults.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsm_agent.stores.key_types import RSA_BITS
from hsm_agent.stores.store import TokenFault, Unsupported

CKM_RSA_PKCS = 0x01
CKM_RSA_PKCS_PSS = 0x0D
CKM_ML_DSA = 0x1D
CKM_ECDSA = 0x1041
CKM_EDDSA = 0x1057

_HASHES = MappingProxyType(
    {  # name: CKM of the hash, CKG of MGF1, and the mechanisms that hash in the token
        "sha256": (0x250, 2, 0x40, 0x43, 0x1044),
        "sha384": (0x260, 3, 0x41, 0x44, 0x1045),
        "sha512": (0x270, 4, 0x42, 0x45, 0x1046),
    }
)
_DIGEST_INFO = MappingProxyType(
    {  # RFC 8017 section 9.2, note 1
        "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
        "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
        "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
    }
)
_NAMES = MappingProxyType({"rsa": ("rsa", "rsa-pss"), "ecdsa": ("ecdsa",)})
"""How the algorithms of a family begin; a hash follows."""
_COORDINATES = MappingProxyType({"ec-p256": 32, "ec-p384": 48, "ec-p521": 66, "ec-secp256k1": 32})
_WHOLE_MESSAGE = MappingProxyType(
    {  # mechanism, parameters, octets of a signature
        # RFC 8032: Ed448 says that it is not prehashed, and has a context, which is empty here.
        "ed25519": (CKM_EDDSA, (), 64),
        "ed448": (CKM_EDDSA, (0,), 114),
        "ml-dsa-44": (CKM_ML_DSA, (), 2420),
        "ml-dsa-65": (CKM_ML_DSA, (), 3309),
        "ml-dsa-87": (CKM_ML_DSA, (), 4627),
    }
)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the token is asked for: a mechanism, its parameters in order, and the input."""

    mechanism: int
    parameter: tuple[int, ...]
    octets: bytes


def algorithms(key_type: str, offered: Collection[int]) -> tuple[str, ...]:
    """Return the signature algorithms of a key, by what the token's mechanisms allow."""
    family = _family(key_type)
    named = [f"{name}-{hashed}" for name in _NAMES.get(family, ()) for hashed in _HASHES]
    return tuple(name for name in (*named, family) if _signs(name, key_type, offered))


def _signs(algorithm: str, key_type: str, offered: Collection[int]) -> bool:
    family = _family(key_type)
    if algorithm in _WHOLE_MESSAGE:
        return algorithm == family and _WHOLE_MESSAGE[algorithm][0] in offered
    name, _, hashed = algorithm.rpartition("-")
    if name not in _NAMES.get(family, ()) or hashed not in _HASHES:
        return False
    return any(mechanism in offered for mechanism in _mechanisms(name, hashed))


def operation(algorithm: str, key_type: str, data: bytes, offered: Collection[int]) -> Operation:
    """Return what to ask of the token.

    Raises:
        Unsupported: the key has no such algorithm, or the token no mechanism for it.
    """
    if not _signs(algorithm, key_type, offered):
        raise Unsupported(f"a key of type {key_type} of this token does not sign {algorithm}")
    if algorithm in _WHOLE_MESSAGE:
        mechanism, parameter, _ = _WHOLE_MESSAGE[algorithm]
        return Operation(mechanism, parameter, data)
    name, _, hashed = algorithm.rpartition("-")
    parameter = _pss_parameter(hashed) if name == "rsa-pss" else ()
    bare, hashing = _mechanisms(name, hashed)
    if bare not in offered:
        return Operation(hashing, parameter, data)
    digest = hashlib.new(hashed, data).digest()
    if name == "rsa":
        digest = _DIGEST_INFO[hashed] + digest
    elif name == "ecdsa":
        # FIPS 186-5 section 6.4.1 takes the leftmost bits; not every token does it by itself.
        digest = digest[: _COORDINATES[key_type]]
    return Operation(bare, parameter, digest)


def x509_signature(algorithm: str, key_type: str, raw: bytes) -> bytes:
    """Return a token's signature as X.509 carries it.

    Raises:
        TokenFault: it has not the length that every such signature has.
    """
    half = _COORDINATES.get(key_type, 0)
    expected = RSA_BITS.get(key_type, 0) // 8 or 2 * half or _WHOLE_MESSAGE[algorithm][2]
    if len(raw) != expected:
        raise TokenFault(f"the token gave a signature of {len(raw)} octets, not {expected}")
    if not half:
        return raw
    return encode_dss_signature(*(int.from_bytes(part, "big") for part in (raw[:half], raw[half:])))


def _family(key_type: str) -> str:
    """Return ``rsa``, ``ecdsa``, the type itself where it is an algorithm, or nothing."""
    if key_type in RSA_BITS:
        return "rsa"
    if key_type in _COORDINATES:
        return "ecdsa"
    return key_type if key_type in _WHOLE_MESSAGE else ""


def _mechanisms(name: str, hashed: str) -> tuple[int, int]:
    """Return the mechanism that takes a digest, and the one that hashes in the token."""
    _, _, pkcs1, pss, ecdsa = _HASHES[hashed]
    return {
        "rsa": (CKM_RSA_PKCS, pkcs1),
        "rsa-pss": (CKM_RSA_PKCS_PSS, pss),
        "ecdsa": (CKM_ECDSA, ecdsa),
    }[name]


def _pss_parameter(hashed: str) -> tuple[int, ...]:
    """Return hash, mask generation over the same hash, and a salt as long as it."""
    mechanism, mask, *_ = _HASHES[hashed]
    return mechanism, mask, hashlib.new(hashed).digest_size
