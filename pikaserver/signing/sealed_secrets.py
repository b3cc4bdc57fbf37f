"""Secrets of plugins and keys of their backends, sealed under the key-encryption key."""

from cryptography.exceptions import InvalidTag

from pikaserver.api.errors import KeyUnavailable
from pikaserver.api.operations import Entropy
from pikaserver.signing.sealing import KEY_OCTETS, KeyEncryptionKey, decrypt, encrypt

_LENGTH_OCTETS = 2


class SealedSecrets:
    """Implements ``pikaserver.api.operations.Secrets``.

    What `seal` returns is the length of the sealed data key (2 octets, big endian), that
    key, and the secret under it (AES-256-GCM); both are bound to the realm and the purpose.
    What one realm sealed opens in no other, whatever the purpose is called.
    """

    def __init__(self, kek: KeyEncryptionKey, entropy: Entropy, realm: str = "secret") -> None:
        self._kek = kek
        self._entropy = entropy
        self._realm = realm

    def seal(self, purpose: str, plain: bytes) -> bytes:
        """See the protocol."""
        data_key, associated = self._entropy(KEY_OCTETS), self._associated(purpose)
        sealed_key = self._kek.seal(data_key, associated)
        length = len(sealed_key).to_bytes(_LENGTH_OCTETS, "big")
        return length + sealed_key + encrypt(data_key, plain, associated, self._entropy)

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """See the protocol."""
        associated = self._associated(purpose)
        end = _LENGTH_OCTETS + int.from_bytes(sealed[:_LENGTH_OCTETS], "big")
        data_key = self._kek.open(sealed[_LENGTH_OCTETS:end], associated)
        try:
            return decrypt(data_key, sealed[end:], associated)
        except (InvalidTag, ValueError) as error:
            why = f"the secret for {purpose!r} was altered, or sealed for another purpose"
            raise KeyUnavailable(why) from error

    def _associated(self, purpose: str) -> bytes:
        return f"{self._realm}\0{purpose}".encode()


def key_realm(scheme: str) -> str:
    """Return the realm of a backend's keys: no plugin's `Server.secrets` opens them."""
    return f"key {scheme}"
