"""Keys that a plugin keeps for itself, told to reports on what quantum computers will break."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptKey:
    """One key that is neither an authority's nor a certificate holder's.

    ``key_type`` is our name from ``pikaserver.asn1.algorithms``, ``renewal`` a sentence on how
    it is replaced, ``certificate`` the one (DER) that carries it, where there is one.
    """

    name: str
    key_type: str
    renewal: str
    not_after: datetime | None = None
    certificate: bytes | None = None


class KeyInventory(Protocol):
    """Tells which keys a plugin keeps."""

    @property
    def kind(self) -> str:
        """What the keys are for, in a word: ``agent-channel``."""
        ...

    def keys(self) -> Iterable[KeptKey]:
        """Return them, as they are now."""
        ...
