"""Who is at the other end of a line: what it speaks, and which keys of nodes it can verify."""

from dataclasses import dataclass

from hsm_agent.wire.channel_kinds import VERSION_1, Abilities

OLDEST = 1


@dataclass(frozen=True, slots=True)
class Peer:
    """An agent on a line; of version 1 unless it says more."""

    version: int = OLDEST
    abilities: Abilities = VERSION_1
