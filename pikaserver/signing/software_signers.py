"""Private keys as signers: one small class for each way in which a key can be asked."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from pikaserver.api.errors import RequestRejected
from pikaserver.api.signing import KeyTransport, Signer
from pikaserver.asn1.algorithms import HASHES, PKCS1, SignatureAlgorithm, pss_padding
from pikaserver.asn1.key_transport import padding_of
from pikaserver.asn1.weak_signatures import hash_of_weak
from pikaserver.signing.composite_keys import CompositeKey

_Sign = Callable[[bytes], bytes]
_MlDsaPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey


@dataclass(frozen=True, slots=True)
class MessageSigner:
    """A key that needs the whole message: Ed25519, Ed448, composite ones."""

    algorithm: str
    public_key: bytes
    by_message: _Sign = field(repr=False)

    def sign(self, tbs: bytes) -> bytes:
        """See `Signer`."""
        return self.by_message(tbs)


@dataclass(frozen=True, slots=True)
class SoftwareDigestSigner:
    """A key that also takes a digest: ECDSA."""

    algorithm: str
    public_key: bytes
    by_message: _Sign = field(repr=False)
    by_digest: _Sign = field(repr=False)

    def sign(self, tbs: bytes) -> bytes:
        """See `Signer`."""
        return self.by_message(tbs)

    def sign_digest(self, digest: bytes) -> bytes:
        """See `DigestSigner`."""
        return self.by_digest(digest)


@dataclass(frozen=True, slots=True)
class SoftwareRsaSigner:
    """An RSA key: it also takes a digest, and signs over hashes that old devices know."""

    algorithm: str
    public_key: bytes
    by_message: _Sign = field(repr=False)
    by_digest: _Sign = field(repr=False)
    by_weak_hash: Callable[[bytes, str], bytes] = field(repr=False)

    def sign(self, tbs: bytes) -> bytes:
        """See `Signer`."""
        return self.by_message(tbs)

    def sign_digest(self, digest: bytes) -> bytes:
        """See `DigestSigner`."""
        return self.by_digest(digest)

    def sign_weakly(self, octets: bytes, hash_name: str) -> bytes:
        """See `WeakHashSigner`."""
        return self.by_weak_hash(octets, hash_name)


@dataclass(frozen=True, slots=True)
class SoftwareMuSigner:
    """A key that also takes mu: ML-DSA."""

    algorithm: str
    public_key: bytes
    by_message: _Sign = field(repr=False)
    by_mu: _Sign = field(repr=False)

    def sign(self, tbs: bytes) -> bytes:
        """See `Signer`."""
        return self.by_message(tbs)

    def sign_mu(self, mu: bytes) -> bytes:
        """See `MuSigner`."""
        return self.by_mu(mu)


@dataclass(frozen=True, slots=True)
class SoftwareDecrypter:
    """An RSA key that decrypts."""

    public_key: bytes
    key: rsa.RSAPrivateKey = field(repr=False)

    def decrypt(self, encrypted_key: bytes, transport: KeyTransport) -> bytes:
        """See `Decrypter`; OpenSSL answers unsound PKCS#1 v1.5 padding with random octets."""
        try:
            return self.key.decrypt(encrypted_key, padding_of(transport))
        except ValueError:  # unsound OAEP, or not as many octets as the modulus has
            return b""


def make_decrypter(key: PrivateKeyTypes | CompositeKey, spki: bytes) -> SoftwareDecrypter:
    """Return a key that decrypts.

    Raises:
        RequestRejected: this kind of key does not.
    """
    if not isinstance(key, rsa.RSAPrivateKey):
        raise RequestRejected("only RSA keys decrypt")
    return SoftwareDecrypter(spki, key)


def make_signer(
    key: PrivateKeyTypes | CompositeKey, algorithm: SignatureAlgorithm, spki: bytes
) -> Signer:
    """Return the signer of a key for one algorithm that fits its type.

    Raises:
        RequestRejected: this kind of key cannot sign.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | CompositeKey):
        return MessageSigner(algorithm.name, spki, key.sign)
    if isinstance(key, _MlDsaPrivateKey):
        return SoftwareMuSigner(algorithm.name, spki, key.sign, key.sign_mu)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _ecdsa(key, algorithm, spki)
    if isinstance(key, rsa.RSAPrivateKey):
        return _rsa(key, algorithm, spki)
    raise RequestRejected(f"a key of this kind does not sign with {algorithm.name}")


def _ecdsa(
    key: ec.EllipticCurvePrivateKey, algorithm: SignatureAlgorithm, spki: bytes
) -> SoftwareDigestSigner:
    hashed = HASHES[str(algorithm.hash)]()
    by_message, by_digest = ec.ECDSA(hashed), ec.ECDSA(Prehashed(hashed))
    return SoftwareDigestSigner(
        algorithm.name,
        spki,
        lambda message: key.sign(message, by_message),
        lambda digest: key.sign(digest, by_digest),
    )


def _rsa(key: rsa.RSAPrivateKey, algorithm: SignatureAlgorithm, spki: bytes) -> SoftwareRsaSigner:
    hashed = HASHES[str(algorithm.hash)]()
    padded = PKCS1 if algorithm.family == "rsa" else pss_padding(hashed)
    return SoftwareRsaSigner(
        algorithm.name,
        spki,
        lambda message: key.sign(message, padded, hashed),
        lambda digest: key.sign(digest, padded, Prehashed(hashed)),
        lambda octets, name: key.sign(octets, PKCS1, hash_of_weak(name)),
    )
