"""What the service needs of a keyring, and how a key is told to the server."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from hsm_agent.stores.store import Outcome, StoredKey


class HeldKey(Protocol):
    """One key of one store.

    ``name`` is ``STORE/LABEL``; ``certificates`` are DER, the authority's over this key first,
    then those above it, none as long as it has none; ``trial`` as the store's.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def stored(self) -> StoredKey: ...  # noqa: D102 - see the class

    @property
    def certificates(self) -> tuple[bytes, ...]: ...  # noqa: D102 - see the class

    @property
    def trial(self) -> bool: ...  # noqa: D102 - see the class

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """See ``hsm_agent.stores.store.Store.sign``; may take seconds.

        Raises:
            StoreError: nothing was signed.
        """
        ...

    @property
    def at_once(self) -> int:
        """How many octets `sign_many` is given at most."""
        ...

    def sign_many(self, algorithm: str, data: Sequence[bytes]) -> Iterator[Sequence[Outcome]]:
        """Yield what `sign` gives for each of them, as it comes; nothing is raised."""
        ...


class Keyring(Protocol):
    """All keys of all stores; every method may be called from several threads."""

    def find(self, spki_hash: bytes) -> HeldKey | None:
        """Return the key whose SubjectPublicKeyInfo has this SHA-256."""
        ...

    def keys(self) -> Sequence[HeldKey]:
        """List what is there, by name."""
        ...

    def full_name(self, name: str) -> str:
        """Return ``STORE/LABEL`` for that, or for a bare label of a key that shall be made.

        Raises:
            StoreError: no such store, or the label could mean several.
        """
        ...

    def generate(
        self, name: str, key_type: str, pin_policy: str = "", touch_policy: str = ""
    ) -> HeldKey:
        """Make a key; ``name`` is a full one.

        Raises:
            StoreError: none was made; `KeyExists` where the name is taken.
        """
        ...

    def put_certificates(self, spki_hash: bytes, certificates: Sequence[bytes]) -> None:
        """Keep the authority's certificate over a key, first in the list, and those above it.

        Raises:
            StoreError: they were not kept.
        """
        ...
