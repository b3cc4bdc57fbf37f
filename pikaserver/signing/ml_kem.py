"""ML-KEM private keys as software makes them (RFC 9935 section 6): seeds, and what they open."""

import hmac

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.key_challenges import ChallengeAnswer, KeyChallenge, KeyChallenges
from pikaserver.asn1.kem_envelopes import open_for

MlKemPrivateKey = mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey

_KEYS: dict[str, type[mlkem.MLKEM768PrivateKey] | type[mlkem.MLKEM1024PrivateKey]] = {
    "ml-kem-768": mlkem.MLKEM768PrivateKey,
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey,
}


def new_ml_kem_key(key_type: str) -> bytes:
    """Return a fresh key as PKCS#8 (DER) in its seed form.

    Raises:
        RequestRejected: no key of this type is made here.
    """
    kind = _KEYS.get(key_type)
    if kind is None:
        raise RequestRejected(
            f"no {key_type} keys are made here: {' and '.join(_KEYS)} are; make the key elsewhere"
        )
    try:
        key = kind.generate()
    except UnsupportedAlgorithm:
        raise RequestRejected("this server's cryptography has no ML-KEM") from None
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load_ml_kem_key(pkcs8: bytes) -> MlKemPrivateKey:
    """Return cryptography's object for a key in its seed form.

    Raises:
        MalformedRequest: it is no such key.
    """
    try:
        key = load_der_private_key(pkcs8, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedRequest("the ML-KEM key cannot be read") from None
    if not isinstance(key, MlKemPrivateKey):
        raise MalformedRequest("not an ML-KEM key")
    return key


def ml_kem_public_key(pkcs8: bytes) -> bytes:
    """Return its SubjectPublicKeyInfo."""
    return (
        load_ml_kem_key(pkcs8)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def answer(challenge: KeyChallenge, pkcs8: bytes, message: bytes) -> ChallengeAnswer:
    """Return what the holder of a key answers to a challenge, speaking of a message.

    Raises:
        MalformedRequest: the challenge is not for this key, or not what its witness says.
    """
    spki = ml_kem_public_key(pkcs8)
    secret = open_for(challenge.envelope, spki, load_ml_kem_key(pkcs8).decapsulate)
    return ChallengeAnswer(challenge.ticket, message, hmac.digest(secret, message, "sha256"))


def answer_here(
    challenges: KeyChallenges, csr: CertificationRequest, pkcs8: bytes
) -> ChallengeAnswer:
    """Have the key of a request challenged, and answer: for keys that were made right here."""
    return answer(challenges.make(csr.tbs, csr.public_key), pkcs8, csr.tbs)
