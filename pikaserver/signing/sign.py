"""The only caller of a signer: octets in, a signature that was verified out."""

import hashlib
from collections.abc import Callable, Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from pikaserver.api.errors import SignatureFaulty
from pikaserver.api.signing import ContentSigner, DigestSigner, MuSigner, Signer, WeakHashSigner
from pikaserver.asn1 import algorithms
from pikaserver.asn1.algorithms import SignatureAlgorithm
from pikaserver.asn1.weak_signatures import verify_weak

_MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey

Pieces = Callable[[], Iterable[bytes]]
"""Gives the octets of one structure from the beginning, as often as it is called."""


def sign_tbs(signer: Signer, tbs: bytes, public_key: bytes) -> bytes:
    """Sign a to-be-signed structure and check the result before handing it out.

    Args:
        signer: any key, near or far; the call may take seconds.
        tbs: DER of TBSCertificate, TBSCertList, ResponseData or signedAttrs, not hashed.
        public_key: SubjectPublicKeyInfo of the authority's certificate, not of the signer.

    Returns:
        The signature as X.509 carries it: DER ``Ecdsa-Sig-Value`` for ECDSA, else raw octets.

    Raises:
        KeyUnavailable: the key cannot sign now.
        SignatureFaulty: what came back does not verify; nothing was released.
    """
    algorithm = _algorithm(signer)
    signature = _octets(signer.sign(tbs))
    algorithms.verify(public_key, algorithm.name, signature, tbs)
    return signature


def sign_attributes(signer: Signer, attributes: bytes, content: bytes, public_key: bytes) -> bytes:
    """Sign signed attributes (RFC 5652 section 5.4) and check the result.

    Args:
        signer: any key; one that wants to see what the attributes stand for is shown it.
        attributes: DER of SignedAttributes as a SET OF.
        content: the octets whose digest is among them.
        public_key: SubjectPublicKeyInfo of the signer's certificate.

    Raises:
        KeyUnavailable: the key cannot sign now.
        SignatureFaulty: what came back does not verify; nothing was released.
    """
    if not isinstance(signer, ContentSigner):
        return sign_tbs(signer, attributes, public_key)
    algorithm = _algorithm(signer)
    signature = _octets(signer.sign_attributes(attributes, content))
    algorithms.verify(public_key, algorithm.name, signature, attributes)
    return signature


def sign_weakly(
    signer: WeakHashSigner, attributes: bytes, hash_name: str, public_key: bytes
) -> bytes:
    """Sign signed attributes over SHA-1 or MD5, for a device that knows nothing else.

    Raises:
        KeyUnavailable: the key cannot sign now.
        SignatureFaulty: what came back does not verify; nothing was released.
    """
    signature = _octets(signer.sign_weakly(attributes, hash_name))
    verify_weak(public_key, hash_name, signature, attributes, accepted=(hash_name,))
    return signature


def sign_pieces(signer: Signer, pieces: Pieces, public_key: bytes) -> bytes:
    """Sign a structure too large for memory, hashing it while it streams.

    A signer that takes neither a digest nor mu gets the whole structure at once; that is for
    structures of up to some ten megabytes.

    Raises:
        KeyUnavailable: the key cannot sign now.
        SignatureFaulty: what came back does not verify; nothing was released.
    """
    algorithm = _algorithm(signer)
    if isinstance(signer, DigestSigner) and algorithm.hash is not None:
        digest = hashlib.new(algorithm.hash)
        for piece in pieces():
            digest.update(piece)
        signature = _octets(signer.sign_digest(digest.digest()))
        _verify_digest(public_key, algorithm, signature, digest.digest())
        return signature
    if isinstance(signer, MuSigner):
        key = _ml_dsa_key(public_key)
        hasher = mldsa.MLDSAMuHasher(key)
        for piece in pieces():
            hasher.update(piece)
        mu = hasher.finalize()
        signature = _octets(signer.sign_mu(mu))
        _verify_mu(key, signature, mu)
        return signature
    return sign_tbs(signer, b"".join(pieces()), public_key)


def _ml_dsa_key(public_key: bytes) -> _MlDsaPublicKey:
    key = algorithms.public_key(public_key)
    if not isinstance(key, _MlDsaPublicKey):
        raise SignatureFaulty("the public key is not one for ML-DSA")
    return key


def _algorithm(signer: Signer) -> SignatureAlgorithm:
    algorithm = algorithms.SIGNATURE_ALGORITHMS.get(signer.algorithm)
    if algorithm is None:
        raise SignatureFaulty(f"the signer names an unknown algorithm, {signer.algorithm!r}")
    return algorithm


def _octets(signature: object) -> bytes:
    # Signers are plugins: whatever comes back is looked at.
    if not isinstance(signature, bytes):
        raise SignatureFaulty(f"the signer returned {type(signature).__name__} instead of octets")
    return signature


def _verify_digest(
    public_key: bytes, algorithm: SignatureAlgorithm, signature: bytes, digest: bytes
) -> None:
    key = algorithms.public_key(public_key)
    hashed = algorithms.HASHES[str(algorithm.hash)]()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm.family == "ecdsa":
            return key.verify(signature, digest, ec.ECDSA(Prehashed(hashed)))
        if isinstance(key, rsa.RSAPublicKey) and algorithm.family in ("rsa", "rsa-pss"):
            padded = (
                algorithms.PKCS1 if algorithm.family == "rsa" else algorithms.pss_padding(hashed)
            )
            return key.verify(signature, digest, padded, Prehashed(hashed))
    except (InvalidSignature, ValueError):
        raise SignatureFaulty(f"the {algorithm.name} signature does not verify") from None
    raise SignatureFaulty(f"the public key is not one for {algorithm.name}")


def _verify_mu(key: _MlDsaPublicKey, signature: bytes, mu: bytes) -> None:
    try:
        key.verify_mu(signature, mu)
    except (InvalidSignature, ValueError):
        raise SignatureFaulty("the ML-DSA signature over mu does not verify") from None
