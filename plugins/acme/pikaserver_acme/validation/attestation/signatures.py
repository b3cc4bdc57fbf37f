"""Signatures with algorithms named as in COSE (RFC 9053), and digests of public keys."""

import hashlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver_acme.validation.attempt import Failed

EDDSA = -8
ECDSA: Mapping[int, hashes.HashAlgorithm] = {
    -7: hashes.SHA256(),
    -35: hashes.SHA384(),
    -36: hashes.SHA512(),
}
RSA: Mapping[int, hashes.HashAlgorithm] = {
    -257: hashes.SHA256(),
    -258: hashes.SHA384(),
    -259: hashes.SHA512(),
}
SMALLEST_RSA = 2048


def verify(key: PublicKeyTypes, algorithm: int, signature: bytes, message: bytes) -> None:
    """Return when a signature over a message is good.

    Raises:
        Failed: it is not, or the algorithm is not for this key, or too weak.
    """
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in ECDSA:
            return key.verify(signature, message, ec.ECDSA(ECDSA[algorithm]))
        if isinstance(key, rsa.RSAPublicKey) and algorithm in RSA and key.key_size >= SMALLEST_RSA:
            return key.verify(signature, message, padding.PKCS1v15(), RSA[algorithm])
        if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == EDDSA:
            return key.verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        why = "the signature of the attestation is not good for this challenge and account"
        raise Failed("badAttestationStatement", why) from error
    why = f"algorithm {algorithm} is not taken for the key of the attestation"
    raise Failed("badAttestationStatement", why)


def fingerprint(key: PublicKeyTypes) -> str:
    """Return the SHA-256 of a SubjectPublicKeyInfo, hex."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
