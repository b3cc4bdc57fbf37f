"""Whether a signature is the key's over these octets; nothing leaves the agent unverified."""

from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.structures.algorithms import SIGNATURE_ALGORITHMS, fits, key_type

_Hash = type[hashes.SHA256] | type[hashes.SHA384] | type[hashes.SHA512]
_HASHES: Mapping[str, _Hash] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_MESSAGE_KEYS = (
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    mldsa.MLDSA44PublicKey,
    mldsa.MLDSA65PublicKey,
    mldsa.MLDSA87PublicKey,
)


_loaded = lru_cache(maxsize=256)(load_der_public_key)
"""The keys of an agent are few, and each of them is asked again and again."""


class SignatureFaulty(Exception):
    """The signature is not this key's over these octets."""


def verify(public_key: bytes, algorithm: str, signature: bytes, data: bytes) -> None:
    """Return when the signature holds.

    Args:
        public_key: SubjectPublicKeyInfo in DER.
        algorithm: as in ``hsm_agent.structures.algorithms``.
        signature: as X.509 carries it.
        data: what was signed, not hashed.

    Raises:
        SignatureFaulty: it does not, or the key is none for this algorithm.
    """
    if not fits(algorithm, key_type(public_key)):
        raise SignatureFaulty(f"no key for {algorithm}")
    entry = SIGNATURE_ALGORITHMS[algorithm]
    try:
        key = _loaded(public_key)
        if isinstance(key, _MESSAGE_KEYS):
            key.verify(signature, data)
            return
        hashed = _HASHES[entry.hash or ""]()
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashed))
        elif isinstance(key, rsa.RSAPublicKey) and entry.family == "rsa-pss":
            pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
            key.verify(signature, data, pss, hashed)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashed)
        else:
            raise SignatureFaulty(f"a {type(key).__name__} does not sign")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError) as error:
        raise SignatureFaulty(f"not a signature with {algorithm} of this key") from error
