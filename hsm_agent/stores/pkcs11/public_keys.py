"""Public keys as PKCS#11 keeps them: in pieces."""

from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.key_types import CURVES
from hsm_agent.stores.pkcs11.pipe import number, octets
from hsm_agent.wire.encoding import Value

CKK_RSA = 0x00
CKK_EC = 0x03
CKK_EC_EDWARDS = 0x40
CKK_ML_DSA = 0x4A

CURVE_IDENTIFIERS: Mapping[str, bytes] = MappingProxyType(
    {
        "ec-p256": bytes.fromhex("06082a8648ce3d030107"),
        "ec-p384": bytes.fromhex("06052b81040022"),
        "ec-p521": bytes.fromhex("06052b81040023"),
        "ec-secp256k1": bytes.fromhex("06052b8104000a"),
    }
)
"""The OIDs in DER, which is CKA_EC_PARAMS."""

EDWARDS: Mapping[str, tuple[int, bytes]] = MappingProxyType(
    {"ed25519": (32, bytes.fromhex("06032b6570")), "ed448": (57, bytes.fromhex("06032b6571"))}
)
"""Octets of a public key, and the OID in DER, which is one form of CKA_EC_PARAMS."""

ML_DSA: Mapping[str, int] = MappingProxyType({"ml-dsa-44": 1, "ml-dsa-65": 2, "ml-dsa-87": 3})
"""CKP_ML_DSA_*, the value of CKA_PARAMETER_SET."""

_MlDsaKey = type[mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey]
_ML_DSA_KEYS: Mapping[int, _MlDsaKey] = MappingProxyType(
    {1: mldsa.MLDSA44PublicKey, 2: mldsa.MLDSA65PublicKey, 3: mldsa.MLDSA87PublicKey}
)
_HEADER_OCTETS = MappingProxyType({34: 2, 59: 2, 67: 2, 99: 2, 136: 3})
"""By the length of the whole: no point of a curve of ours has the length of a wrapped one."""
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def public_key(told: Mapping[str, Value]) -> PublicKeyTypes | None:
    """Return the public key that an object's attributes hold; ``None`` if they hold none."""
    try:
        if info := octets(told, "public-key-info"):
            return load_der_public_key(info)
        return _from_parts(told)
    except _UNREADABLE:
        return None


def certified_key(certificate: bytes) -> PublicKeyTypes | None:
    """Return the key of a certificate in DER; ``None`` if it cannot be read."""
    try:
        return x509.load_der_x509_certificate(certificate).public_key()
    except _UNREADABLE:
        return None


def _from_parts(told: Mapping[str, Value]) -> PublicKeyTypes | None:
    kind = number(told, "key-type")
    if kind == CKK_RSA:
        modulus, exponent = octets(told, "modulus"), octets(told, "exponent")
        numbers = int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")
        return rsa.RSAPublicNumbers(*numbers).public_key() if all(numbers) else None
    if kind == CKK_ML_DSA:
        value, chosen = octets(told, "value"), _ML_DSA_KEYS.get(number(told, "parameter-set"))
        return chosen.from_public_bytes(value) if value and chosen is not None else None
    point = _point(octets(told, "point"))
    if kind == CKK_EC:
        for name, identifier in CURVE_IDENTIFIERS.items():
            if point and octets(told, "curve") == identifier:
                return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[name](), point)
    if kind == CKK_EC_EDWARDS:
        return _edwards(point)
    return None


def _edwards(point: bytes) -> PublicKeyTypes | None:
    """Return the key whose point has this length: names of these curves vary with the token."""
    if len(point) == EDWARDS["ed25519"][0]:
        return ed25519.Ed25519PublicKey.from_public_bytes(point)
    if len(point) == EDWARDS["ed448"][0]:
        return ed448.Ed448PublicKey.from_public_bytes(point)
    return None


def _point(told: bytes) -> bytes:
    """Return CKA_EC_POINT without the header of its OCTET STRING, which some tokens leave out."""
    return told[_HEADER_OCTETS.get(len(told), 0) :]
