"""What a key reference of scheme ``agent`` means.

::

    agent:NAME/LABEL            the one key of that label at the agent NAME
    agent:NAME/STORE/LABEL      the key in that store
    ...?profile=PROFILE         of a key that is to be made: under which rules of the agent's policy

A key is its public half.  The name only says how to find it and which agent is preferred: every
agent that announces the same key may sign with it.
"""

from dataclasses import dataclass

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.signing import KeyReference
from pikaserver_agents.authority_uses import Uses
from pikaserver_agents.directory import View
from pikaserver_agents.storage.keys import KeyRow
from pikaserver_agents.structures import sha256

SCHEME = "agent"
_PROFILE = "?profile="


@dataclass(frozen=True, slots=True)
class AgentReference:
    """A reference, taken apart; ``store`` is empty where it is not named."""

    agent: str
    store: str
    label: str
    profile: str

    @property
    def name(self) -> str:
        """What the agent is asked for: ``STORE/LABEL`` or ``LABEL``."""
        return f"{self.store}/{self.label}" if self.store else self.label


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that a reference means; ``rows`` are its announcements, the named agent's first."""

    agent: str
    spki_hash: bytes
    public_key: bytes
    rows: tuple[KeyRow, ...]


def read_reference(reference: KeyReference) -> AgentReference:
    """Take a reference apart.

    Raises:
        ConfigurationError: it names no agent, or no key.
    """
    path, _, profile = reference.name.partition(_PROFILE)
    agent, slash, rest = path.partition("/")
    store, inner, label = rest.partition("/")
    if not inner:
        store, label = "", rest
    if not (agent and slash and label) or "?" in path or (inner and not store):
        raise ConfigurationError(
            f"{reference} names no key of an agent; that looks like"
            " 'agent:vault-a/issuing-1' or 'agent:vault-a/hsm/issuing-1'"
        )
    return AgentReference(agent, store, label, profile)


def resolve(view: View, uses: Uses, reference: KeyReference) -> FoundKey | None:
    """Return the key that a reference means, ``None`` where there is none yet.

    What an authority's certificate says of its own key comes first: another key that has taken
    its place in the token, or an agent that is gone, does not change what is meant.

    Raises:
        ConfigurationError: it is no reference to a key, or could mean several keys.
    """
    asked = read_reference(reference)
    used = uses.by_reference.get(str(reference))
    if used is not None:
        return _found(view, asked.agent, used.public_key)
    named = [row for row in view.of_agent(asked.agent) if _is_meant(row, asked)]
    if len({row.spki_hash for row in named}) > 1:
        several = " or ".join(f"agent:{asked.agent}/{row.told.name}" for row in named)
        raise ConfigurationError(f"{reference} could mean several keys: write {several}")
    return _found(view, asked.agent, named[0].told.public_key) if named else None


def _is_meant(row: KeyRow, asked: AgentReference) -> bool:
    store, _, label = row.told.name.partition("/")
    return label == asked.label and asked.store in {"", store}


def _found(view: View, agent: str, public_key: bytes) -> FoundKey:
    spki_hash = sha256(public_key)
    rows = sorted(view.holders(spki_hash), key=lambda row: row.agent != agent)
    return FoundKey(agent, spki_hash, public_key, tuple(rows))
