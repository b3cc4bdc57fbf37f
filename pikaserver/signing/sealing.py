"""The key-encryption key, from a key file, a credential or a passphrase, and AES-256-GCM."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from pikaserver.api.errors import ConfigurationError, KeyUnavailable
from pikaserver.api.operations import Entropy

KEY_OCTETS = 32
_NONCE_OCTETS = 12
_SALT_OCTETS = 16
# What stands before a key sealed by passphrase: kind, memory, iterations, lanes, salt.
_DERIVATION_OCTETS = 1 + 4 + 1 + 1 + _SALT_OCTETS

# The first octet of a sealed data key says what its key-encryption key was made from.
_FROM_KEY = b"\x01"
_FROM_PASSPHRASE = b"\x02"

# Parameters come back from the database; nobody shall make us take all memory by them.
_MEMORY_LIMIT_KIB = 1 << 20
_ITERATIONS_LIMIT = 64
_LANES_LIMIT = 16


class KeyEncryptionKey(Protocol):
    """Seals the data keys of the stored keys, and opens them."""

    def seal(self, data_key: bytes, associated: bytes) -> bytes:
        """Return a data key sealed, with all that opening needs but the secret."""
        ...

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Return the data key.

        Raises:
            KeyUnavailable: the secret is another one, or what is stored was altered.
        """
        ...


class FileKey:
    """A key-encryption key of 32 random octets, from a key file or a credential."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        if len(key) != KEY_OCTETS:
            raise ConfigurationError(f"a key-encryption key has {KEY_OCTETS} octets")
        self._key = key
        self._entropy = entropy

    def seal(self, data_key: bytes, associated: bytes) -> bytes:
        """See `KeyEncryptionKey`."""
        return _FROM_KEY + encrypt(self._key, data_key, _FROM_KEY + associated, self._entropy)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """See `KeyEncryptionKey`."""
        if sealed[:1] != _FROM_KEY:
            raise KeyUnavailable("the stored keys were sealed with a passphrase, not a key file")
        try:
            return decrypt(self._key, sealed[1:], _FROM_KEY + associated)
        except InvalidTag:
            raise KeyUnavailable("the key file does not open the stored keys") from None


class PassphraseKey:
    """A key-encryption key from a passphrase by Argon2id (RFC 9106).

    The passphrase is asked for when the first key needs it, so that commands which only
    list keys run without it.
    """

    def __init__(self, ask: Callable[[], bytes], entropy: Entropy) -> None:
        self._ask = ask
        self._entropy = entropy
        self._passphrase: bytes | None = None
        self._derived: dict[_Derivation, bytes] = {}
        self._lock = Lock()

    def seal(self, data_key: bytes, associated: bytes) -> bytes:
        """See `KeyEncryptionKey`."""
        with self._lock:
            # A salt that already opened something spares the next start a derivation.
            known = next(iter(self._derived), None)
        derivation = known or _Derivation(self._entropy(_SALT_OCTETS))
        prefix = derivation.encode()
        key = self._derive(derivation)
        return prefix + encrypt(key, data_key, prefix + associated, self._entropy)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """See `KeyEncryptionKey`."""
        if sealed[:1] != _FROM_PASSPHRASE:
            raise KeyUnavailable("the stored keys were sealed with a key file, not a passphrase")
        derivation = _Derivation.decode(sealed)
        prefix = derivation.encode()
        key = self._derive(derivation)
        try:
            return decrypt(key, sealed[len(prefix) :], prefix + associated)
        except InvalidTag:
            self._forget(derivation)
            raise KeyUnavailable("the passphrase does not open the stored keys") from None

    def _derive(self, derivation: "_Derivation") -> bytes:
        with self._lock:
            if derivation not in self._derived:
                if self._passphrase is None:
                    self._passphrase = self._ask()
                self._derived[derivation] = derivation.derive(self._passphrase)
            return self._derived[derivation]

    def _forget(self, derivation: "_Derivation") -> None:
        # Nothing shall be sealed with what a wrong passphrase gave.
        with self._lock:
            self._derived.pop(derivation, None)
            self._passphrase = None


@dataclass(frozen=True, slots=True)
class _Derivation:
    """Salt and cost of one derivation, as they stand before what was sealed.

    The cost is the second recommendation of RFC 9106 section 4: 64 MiB, three passes.
    """

    salt: bytes
    memory_kib: int = 65_536
    iterations: int = 3
    lanes: int = 4

    def derive(self, passphrase: bytes) -> bytes:
        return Argon2id(
            salt=self.salt,
            length=KEY_OCTETS,
            iterations=self.iterations,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        ).derive(passphrase)

    def encode(self) -> bytes:
        costs = self.memory_kib.to_bytes(4, "big") + bytes((self.iterations, self.lanes))
        return _FROM_PASSPHRASE + costs + self.salt

    @classmethod
    def decode(cls, sealed: bytes) -> "_Derivation":
        prefix = sealed[:_DERIVATION_OCTETS].ljust(_DERIVATION_OCTETS, b"\0")
        memory, iterations, lanes = int.from_bytes(prefix[1:5], "big"), prefix[5], prefix[6]
        sound = (
            0 < lanes <= _LANES_LIMIT
            and 8 * lanes <= memory <= _MEMORY_LIMIT_KIB
            and 0 < iterations <= _ITERATIONS_LIMIT
        )
        if not sound:
            raise KeyUnavailable("the parameters of a stored key are damaged")
        return cls(prefix[7:], memory, iterations, lanes)


def encrypt(key: bytes, plain: bytes, associated: bytes, entropy: Entropy) -> bytes:
    """Return a random 96-bit nonce, the AES-256-GCM ciphertext and its tag."""
    nonce = entropy(_NONCE_OCTETS)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Undo `encrypt`.

    Raises:
        InvalidTag: key or associated data differ, or an octet was changed.
    """
    if len(sealed) < _NONCE_OCTETS:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], associated)
