"""Keys of services that are ready: to sign, over another hash too, and to decrypt."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pikaserver.api.errors import Conflict
from pikaserver.api.services import ServiceKey
from pikaserver.api.signing import Decrypter, KeyTransport, Signer, WeakHashSigner
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.weak_signatures import WEAK_ALGORITHMS
from pikaserver.authority.services.limits import Limit, only_scep
from pikaserver.signing.sign import sign_attributes, sign_tbs, sign_weakly

Open = Callable[[str], Signer]
"""Opens the same key for another signature algorithm."""


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """Implements ``pikaserver.api.services.ServiceKey``."""

    certificate: bytes
    chain: tuple[bytes, ...]
    public_key: bytes
    signer: Signer
    limit: Limit
    open: Open = field(repr=False)

    @property
    def algorithm(self) -> str:
        """See the protocol."""
        return self.signer.algorithm

    def sign(self, tbs: bytes, content: bytes = b"") -> bytes:
        """See the protocol."""
        self.limit(tbs)
        if content:
            return sign_attributes(self.signer, tbs, content, self.public_key)
        return sign_tbs(self.signer, tbs, self.public_key)

    def with_hash(self, name: str) -> ServiceKey:
        """See the protocol."""
        algorithm = f"rsa-{name}"
        if SIGNATURE_ALGORITHMS[self.algorithm].family != "rsa":
            raise Conflict("this key is not RSA with PKCS#1 v1.5: its hash is its own")
        if algorithm in WEAK_ALGORITHMS:
            return self._weakly(algorithm)
        if algorithm not in SIGNATURE_ALGORITHMS:
            raise Conflict(f"nothing is signed over {name} here")
        return replace(self, signer=self.open(algorithm))

    def _weakly(self, algorithm: str) -> ServiceKey:
        if not isinstance(self.signer, WeakHashSigner):
            raise Conflict("where this key lives, nothing is signed over SHA-1 and MD5")
        return WeaklyHashingKey(self, self.signer, algorithm)


@dataclass(frozen=True, slots=True)
class WeaklyHashingKey:
    """The same over SHA-1 or MD5; see ``pikaserver.api.services.ServiceKey``."""

    key: OpenedKey
    signer: WeakHashSigner
    algorithm: str

    @property
    def certificate(self) -> bytes:
        """See the protocol."""
        return self.key.certificate

    @property
    def chain(self) -> tuple[bytes, ...]:
        """See the protocol."""
        return self.key.chain

    def sign(self, tbs: bytes, content: bytes = b"") -> bytes:
        """See the protocol."""
        # Their nonce is ours and comes before all that a client chooses at any length: nobody
        # can look for a second meaning of the hash of octets that he cannot foresee.
        only_scep(tbs)
        return sign_weakly(self.signer, tbs, WEAK_ALGORITHMS[self.algorithm], self.key.public_key)

    def with_hash(self, name: str) -> ServiceKey:
        """See the protocol."""
        return self.key.with_hash(name)


@dataclass(frozen=True, slots=True)
class OpenedDecryptionKey:
    """Implements ``pikaserver.api.services.DecryptionKey``."""

    certificate: bytes
    decrypter: Decrypter

    def decrypt(self, encrypted_key: bytes, transport: KeyTransport) -> bytes:
        """See the protocol."""
        return self.decrypter.decrypt(encrypted_key, transport)
