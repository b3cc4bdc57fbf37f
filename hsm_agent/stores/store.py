"""What every store of keys can do; octets in, octets out, and errors that say what to tell."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class StoreError(Exception):
    """The store cannot do it; ``code`` is one of ``hsm_agent.wire.refusals.REFUSALS``."""

    code = "token-error"


class UnknownKey(StoreError):
    """There is no such key in this store."""

    code = "unknown-key"


class TokenAbsent(StoreError):
    """The token or card is not there now."""

    code = "token-absent"


class TokenFault(StoreError):
    """The token, its module or its driver failed."""


class PinNeeded(StoreError):
    """No PIN is at hand, or it must not be tried again."""

    code = "pin-needed"


class PinLocked(StoreError):
    """The token counts too many wrong PINs, or so many that none more is risked."""

    code = "pin-locked"


class TouchTimeout(StoreError):
    """Nobody touched the token in time."""

    code = "touch-timeout"


class KeyExists(StoreError):
    """There is a key of that label, or in that slot."""

    code = "exists"


class Unsupported(StoreError):
    """The store has no such key type, algorithm or deed."""

    code = "unsupported"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of a store.

    ``label`` names it within the store (a slot such as ``9c``, a CKA_LABEL); ``public_key`` is
    SubjectPublicKeyInfo in DER; ``state`` as in ``hsm_agent.wire.messages.Key``;
    ``algorithms`` are those that the store can sign with.
    """

    label: str
    key_type: str
    public_key: bytes
    algorithms: tuple[str, ...]
    state: str = "ready"
    attestation: tuple[bytes, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the octets at one place of a list: a signature, or why there is none."""

    place: int
    signature: bytes
    fault: StoreError | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is wanted of a new key; empty policies mean the store's usual ones."""

    label: str
    key_type: str
    pin_policy: str = ""
    touch_policy: str = ""


@dataclass(frozen=True, slots=True)
class StoreState:
    """How the store is: ``state`` as a key's; ``details`` for people (serial, firmware, model)."""

    state: str
    key_types: tuple[str, ...]
    free: tuple[str, ...] = ("any",)
    details: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """One place for keys.  Its methods may be called from several threads and take seconds."""

    @property
    def kind(self) -> str:
        """``software``, ``pkcs11`` or ``piv``."""
        ...

    @property
    def trial(self) -> bool:
        """Whether keys here are no better protected than a file."""
        ...

    def state(self) -> StoreState:
        """Look whether the store is there; nothing is unlocked and nothing is raised."""
        ...

    def keys(self) -> Sequence[StoredKey]:
        """List the keys.

        Raises:
            StoreError: the store cannot be read now.
        """
        ...

    def sign(self, label: str, algorithm: str, data: bytes) -> bytes:
        """Return the signature over these octets as X.509 carries it; the store hashes them.

        ``algorithm`` is named as in ``pikaserver.asn1.algorithms``: ``rsa-sha256``,
        ``rsa-pss-sha256``, ``ecdsa-sha384``, ``ed25519``, ``ml-dsa-65``.

        Raises:
            StoreError: nothing was signed, as far as the store knows.
        """
        ...

    def generate(self, wanted: NewKey) -> StoredKey:
        """Make a key that never leaves the store.

        Raises:
            StoreError: none was made.
        """
        ...

    def import_key(self, wanted: NewKey, pkcs8: bytes) -> StoredKey:
        """Take a private key (PKCS#8 DER) that was made elsewhere.

        Raises:
            StoreError: it was not taken.
        """
        ...

    def put_certificate(self, label: str, certificate: bytes) -> None:
        """Keep the certificate (DER) beside the key, where the store has a place for it.

        Raises:
            StoreError: it was not written.
        """
        ...

    def close(self) -> None:
        """Let sessions, cards and processes go."""
        ...


@runtime_checkable
class SignsMany(Protocol):
    """A store that is quicker when it is given several octets at once, up to ``at_once``."""

    @property
    def at_once(self) -> int: ...  # noqa: D102 - see the class

    def sign_many(
        self, label: str, algorithm: str, data: Sequence[bytes]
    ) -> Iterator[Sequence[Outcome]]:
        """Yield what `Store.sign` gives for each of them, as it comes; nothing is raised."""
        ...


Changed = Callable[[], None]
"""Called, from any thread, when keys or their states may have changed."""
