"""The kinds of keys that each side of a line has, and those that it can verify."""

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_agent.wire.frame_kinds import ED25519, FRAME_KINDS

CLASSICAL_TLS = "ec-p256"
ML_DSA_TLS = ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
TLS_KINDS = (CLASSICAL_TLS, *ML_DSA_TLS)
"""The kinds of TLS keys that there are."""


@dataclass(frozen=True, slots=True)
class ChannelKinds:
    """The kinds of one side's two keys."""

    tls: str = CLASSICAL_TLS
    frames: str = ED25519


@dataclass(frozen=True, slots=True)
class Abilities:
    """Which kinds of TLS keys and of frame keys somebody can verify."""

    tls: tuple[str, ...] = (CLASSICAL_TLS,)
    frames: tuple[str, ...] = (ED25519,)

    def can(self, kinds: ChannelKinds) -> bool:
        """Tell whether keys of these kinds can be verified."""
        return kinds.tls in self.tls and kinds.frames in self.frames


VERSION_1 = Abilities()
"""Of whoever speaks version 1."""


def abilities(tls: Sequence[str]) -> Abilities:
    """Return what this software can, with a TLS library that has these kinds."""
    return Abilities(tuple(tls), tuple(FRAME_KINDS))
