"""Keys and the signer hook: octets in, octets out; no key object ever crosses it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol, runtime_checkable

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Secrets


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Where a key lives: ``software:issuing-1``, ``agent:vault-a/piv-9c``."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> "KeyReference":
        """Read ``scheme:name``.

        Raises:
            ConfigurationError: a half is missing.
        """
        scheme, colon, name = text.partition(":")
        if not (scheme and colon and name):
            raise ConfigurationError(
                f"{text!r} is not a key reference; one looks like 'software:issuing-1'"
            )
        return cls(scheme, name)


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """What a backend tells of a key without opening it; ``public_key`` is SPKI in DER."""

    reference: KeyReference
    key_type: str
    public_key: bytes
    exportable: bool
    state: str = "ready"


class Signer(Protocol):
    """A key that is ready to sign with one algorithm."""

    @property
    def algorithm(self) -> str:
        """Our name of the signature algorithm, from ``pikaserver.asn1.algorithms``."""
        ...

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        ...

    def sign(self, tbs: bytes) -> bytes:
        """Return the signature as X.509 carries it over these octets, which are not hashed.

        Raises:
            KeyUnavailable: the key cannot sign now.
        """
        ...


@runtime_checkable
class DigestSigner(Signer, Protocol):
    """A signer that also takes a digest: only large CRLs, hashed while they stream, need it."""

    def sign_digest(self, digest: bytes) -> bytes:
        """Return the signature over a digest made with the algorithm's hash."""
        ...


@runtime_checkable
class MuSigner(Signer, Protocol):
    """The same for ML-DSA: mu (FIPS 204 algorithm 7, line 6) of the message, empty context."""

    def sign_mu(self, mu: bytes) -> bytes:
        """Return an ordinary ML-DSA signature over the message that these 64 octets stand for."""
        ...


@runtime_checkable
class ContentSigner(Signer, Protocol):
    """A signer that wants to see what signed attributes (RFC 5652) stand for."""

    def sign_attributes(self, attributes: bytes, content: bytes) -> bytes:
        """Return the signature over these attributes, whose digest is that of the content."""
        ...


@runtime_checkable
class WeakHashSigner(Signer, Protocol):
    """An RSA signer that also signs over SHA-1 and MD5, for those who can verify nothing else."""

    def sign_weakly(self, octets: bytes, hash_name: str) -> bytes:
        """Return the signature by RSASSA-PKCS1-v1_5 over ``sha1`` or ``md5``.

        Only signed attributes that a nonce of ours makes unforeseeable are ever signed so:
        who could foresee the octets could look for a second meaning of their hash.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """How a key was encrypted with RSA (RFC 8017 section 7).

    With ``hash`` and ``mask_hash`` it is RSAES-OAEP, without them RSAES-PKCS1-v1_5.
    """

    hash: str | None = None
    mask_hash: str | None = None


class Decrypter(Protocol):
    """A key that decrypts the keys of enveloped contents (RFC 5652 section 6.2.1)."""

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        ...

    def decrypt(self, encrypted_key: bytes, transport: KeyTransport) -> bytes:
        """Return the key; of octets that were not made for it, some other octets.

        It never tells whether the padding was sound, neither by an error nor by its time:
        whoever could ask that would read what was sent to others.

        Raises:
            KeyUnavailable: the key cannot decrypt now.
        """
        ...


@runtime_checkable
class DecrypterBackend(Protocol):
    """A backend whose RSA keys also decrypt."""

    def open_decrypter(self, reference: KeyReference) -> Decrypter:
        """Get a key ready to decrypt.

        Raises:
            NotFound: no such key.
            KeyUnavailable: the key is locked or its device is away.
            RequestRejected: a key of this kind does not decrypt.
        """
        ...


class SignerBackend(Protocol):
    """A place where keys live, found by the scheme of a `KeyReference`."""

    @property
    def scheme(self) -> str:
        """The first half of this backend's key references."""
        ...

    def keys(self) -> Iterable[KeyDescription]:
        """List the keys; nothing is unlocked for it."""
        ...

    def generate(self, reference: KeyReference, key_type: str, *, exportable: bool) -> bytes:
        """Make a key and return its SubjectPublicKeyInfo.

        Raises:
            Conflict: there is a key of that name.
            RequestRejected: the backend has no such key type.
        """
        ...

    def open(self, reference: KeyReference, algorithm: str) -> Signer:
        """Get a key ready to sign with one algorithm.

        Raises:
            NotFound: no such key.
            KeyUnavailable: the key is locked or its device is away.
            RequestRejected: the key cannot sign with that algorithm.
        """
        ...


class KeyRole(Enum):
    """What a new key is for: whoever keeps it may fix its rules by that."""

    ROOT = "root"
    """It signs its own certificate."""
    AUTHORITY = "authority"
    SERVICE = "service"
    """OCSP responders, time-stamp units, registration authorities."""


@runtime_checkable
class RoleKeyMaker(Protocol):
    """A backend that makes keys under rules of what they are for."""

    def generate_for(self, role: KeyRole, reference: KeyReference, key_type: str) -> bytes:
        """Make a key for a role; see `SignerBackend.generate`."""
        ...


@runtime_checkable
class KeyImporter(Protocol):
    """A backend that takes a key made elsewhere."""

    def import_key(self, reference: KeyReference, pkcs8: bytes, *, exportable: bool) -> bytes:
        """Store a private key (PKCS#8 DER, RFC 5958) and return its SubjectPublicKeyInfo."""
        ...


@runtime_checkable
class KeyExporter(Protocol):
    """A backend that hands out keys which were made exportable."""

    def export_key(self, reference: KeyReference) -> bytes:
        """Return the private key as PKCS#8 DER.

        Raises:
            NotAllowed: the key was not made exportable.
        """
        ...


@runtime_checkable
class KeyRemover(Protocol):
    """A backend that destroys keys."""

    def remove_key(self, reference: KeyReference) -> None:
        """Destroy a key for good."""
        ...


@runtime_checkable
class KeySealer(Protocol):
    """A backend that stores its keys sealed."""

    def seal_with(self, secrets: Secrets) -> None:
        """Take what seals and opens its keys; it comes once, before any key is asked for.

        ``Server.secrets`` is every plugin's and would open them for all; this is the scheme's.
        """
        ...


@runtime_checkable
class KeyFinder(Protocol):
    """A backend whose keys go by more than one name, or are too many to list."""

    def find(self, reference: KeyReference) -> KeyDescription | None:
        """Return the key that a reference means, or ``None``."""
        ...


@runtime_checkable
class KeyGuard(Protocol):
    """A backend whose keys are not for every authority."""

    def check_authority(self, reference: KeyReference, authority: str) -> None:
        """Agree that this authority uses this key, which need not exist yet.

        Raises:
            NotAllowed: it is kept for others.
        """
        ...


@runtime_checkable
class CertificateKeeper(Protocol):
    """A backend that wants to know the certificate of the authority whose key it keeps."""

    def keep_certificate(self, reference: KeyReference, certificates: Sequence[bytes]) -> None:
        """Take an authority's certificate (DER) and those above it.

        Raises:
            Unavailable: it could not be handed over now; the backend does so by itself later.
        """
        ...


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A software key as it is stored: nothing in it is of use without the key-encryption key."""

    name: str
    key_type: str
    public_key: bytes
    sealed_key: bytes = field(repr=False)
    sealed_data_key: bytes = field(repr=False)
    version: int
    exportable: bool
    created_at: datetime
