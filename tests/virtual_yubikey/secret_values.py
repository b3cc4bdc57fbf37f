"""PIN, PUK and management key: their values, counters, and how each is proven."""

from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.constant_time import bytes_eq

from tests.virtual_yubikey.apdu import Refused, Status
from tests.virtual_yubikey.keys import TouchPolicy

Version = tuple[int, int, int]

DEFAULT_PIN = b"123456\xff\xff"
DEFAULT_PUK = b"12345678"
DEFAULT_MANAGEMENT_KEY = bytes.fromhex("0102030405060708" * 3)
DEFAULT_TRIES = 3
SHORTEST = 6


@dataclass
class Reference:
    """A PIN or PUK: eight octets, filled up with FF, and how often it may still be wrong."""

    factory: bytes
    value: bytes
    total: int = DEFAULT_TRIES
    left: int = DEFAULT_TRIES

    def query(self) -> int:
        """Return the status that tells the tries left."""
        return 0x63C0 | min(self.left, 0xF) if self.left else Status.BLOCKED

    def prove(self, given: bytes) -> None:
        """Accept the right value, which also fills the counter up again.

        Raises:
            Refused: 63Cx and one try less, or 6983 without a look at the value.
        """
        if not self.left:
            raise Refused(Status.BLOCKED)
        if not bytes_eq(given, self.value):
            self.left -= 1
            # The last wrong try still says 63C0; 6983 comes from then on (SP 800-73-4 3.2.1).
            raise Refused(0x63C0 | min(self.left, 0xF))
        self.left = self.total

    def set(self, value: bytes) -> None:
        """Take a new value, with all tries.

        Raises:
            Refused: it has fewer than six octets, or something after its end.
        """
        plain = value.rstrip(b"\xff")
        if len(value) != len(self.factory) or len(plain) < SHORTEST or b"\xff" in plain:
            # ykman explains 6985 as "does not meet complexity requirement".
            raise Refused(Status.CONDITIONS)
        self.value = value
        self.left = self.total

    def restore(self, tries: int = DEFAULT_TRIES) -> None:
        """Go back to the factory's value."""
        self.value = self.factory
        self.total = self.left = tries

    @property
    def is_default(self) -> bool:
        """Whether everybody knows it."""
        return self.value == self.factory


def default_pin() -> Reference:
    """Return the PIN of a new card."""
    return Reference(DEFAULT_PIN, DEFAULT_PIN)


def default_puk() -> Reference:
    """Return the PUK of a new card."""
    return Reference(DEFAULT_PUK, DEFAULT_PUK)


class ManagementKeyType(IntEnum):
    """Algorithm identifiers of management keys."""

    TDES = 0x03
    AES128 = 0x08
    AES192 = 0x0A
    AES256 = 0x0C


KEY_OCTETS = {
    ManagementKeyType.TDES: 24,
    ManagementKeyType.AES128: 16,
    ManagementKeyType.AES192: 24,
    ManagementKeyType.AES256: 32,
}


@dataclass(frozen=True, slots=True)
class ManagementKey:
    """The key of slot 9B; both sides show it by one block of ECB."""

    type: ManagementKeyType
    value: bytes
    touch_policy: TouchPolicy = TouchPolicy.NEVER

    @property
    def block(self) -> int:
        """Octets of a challenge."""
        return 8 if self.type == ManagementKeyType.TDES else 16

    @property
    def is_default(self) -> bool:
        """Whether everybody knows it."""
        return self.value == DEFAULT_MANAGEMENT_KEY

    def encrypt(self, block: bytes) -> bytes:
        """Encrypt one block."""
        encryptor = self._cipher().encryptor()
        return encryptor.update(block) + encryptor.finalize()

    def _cipher(self) -> Cipher[modes.ECB]:
        algorithm = TripleDES if self.type == ManagementKeyType.TDES else AES
        return Cipher(algorithm(self.value), modes.ECB())  # noqa: S305  # the card's own protocol


def default_management_key(version: Version) -> ManagementKey:
    """Return the management key of a new card: the same octets, another cipher since 5.7."""
    cipher = ManagementKeyType.AES192 if version >= (5, 7, 0) else ManagementKeyType.TDES
    return ManagementKey(cipher, DEFAULT_MANAGEMENT_KEY)


def management_key(
    version: Version, cipher: int, value: bytes, touch_policy: TouchPolicy
) -> ManagementKey:
    """Check a new management key.

    Raises:
        Refused: the cipher is unknown to this firmware, or the key has another length.
    """
    known = set(ManagementKeyType) if version >= (5, 4, 0) else {ManagementKeyType.TDES}
    if cipher not in known or len(value) != KEY_OCTETS[ManagementKeyType(cipher)]:
        raise Refused(Status.WRONG_DATA)
    return ManagementKey(ManagementKeyType(cipher), value, touch_policy)
