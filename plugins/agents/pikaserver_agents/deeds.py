"""What operators decide of agents and their keys; each deed leaves a line in the audit trail."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from pikaserver.api.errors import Conflict, NotFound
from pikaserver.api.server import Server
from pikaserver_agents.authority_uses import AuthorityUses
from pikaserver_agents.directory import Directory, View
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.storage import agents, keys
from pikaserver_agents.storage.agents import AgentState
from pikaserver_agents.storage.keys import KeyRow

HASH_PREFIX = "sha256:"
_PREFIX = "agent:"
_LIVING = (
    AgentState.WAITING,
    AgentState.ENROLLED,
    AgentState.DRAINING,
    AgentState.OFFLINE,
    AgentState.LOCKED,
)


class Deeds:
    """Changes states, and for whom keys are kept."""

    def __init__(self, server: Server, directory: Directory, uses: AuthorityUses) -> None:
        self._server = server
        self._directory = directory
        self._uses = uses
        self._now = milliseconds(server.clock)

    def approve(self, name: str, by: str) -> AgentState:
        """Let an agent that enrolled connect, or have bundles carried to it."""
        row = self._directory.refresh().agent(name)
        state = AgentState.OFFLINE if row.by_hand else AgentState.ENROLLED
        self._change(name, state, [AgentState.WAITING], "approved", by)
        return state

    def drain(self, name: str, by: str, *, off: bool) -> AgentState:
        """Ask an agent for nothing any more while its line stays, or end that."""
        before, after = AgentState.ENROLLED, AgentState.DRAINING
        if off:
            before, after = after, before
        self._change(name, after, [before], "resumed" if off else "drained", by)
        return after

    def retire(self, name: str, by: str) -> AgentState:
        """Cut an agent off for good, on all nodes."""
        self._change(name, AgentState.RETIRED, _LIVING, "retired", by)
        return AgentState.RETIRED

    def allow(self, key: KeyRow, authorities: Iterable[str], by: str) -> frozenset[str]:
        """Keep a key for these authorities, beside those that it is kept for already."""
        wanted = frozenset(authorities)
        for name in wanted:
            self._server.authorities.get(name)
        present = self._directory.refresh().allowed.get(key.spki_hash, frozenset())
        return self._keep(key, present | wanted, by)

    def allow_all(self, key: KeyRow, by: str) -> None:
        """Let every authority use a key."""
        with self._server.database.transaction() as connection:
            keys.keep_for_everybody(connection, key.spki_hash)
            self._audit_key(connection, key, ["*"], by)
        self._directory.refresh()

    def deny(self, key: KeyRow, authority: str, by: str) -> frozenset[str]:
        """Take a key from an authority; one that was for everybody stays with who uses it."""
        present = self._directory.refresh().allowed.get(key.spki_hash)
        if present is None:
            uses = self._uses.refresh().of(key.spki_hash)
            present = frozenset(use.authority for use in uses)
        return self._keep(key, present - {authority}, by)

    def _keep(self, key: KeyRow, authorities: frozenset[str], by: str) -> frozenset[str]:
        with self._server.database.transaction() as connection:
            keys.keep_for(connection, key.spki_hash, authorities, by, self._now())
            self._audit_key(connection, key, sorted(authorities), by)
        self._directory.refresh()
        return authorities

    def _change(
        self, name: str, state: AgentState, among: Sequence[AgentState], event: str, by: str
    ) -> None:
        row = self._directory.refresh().agent(name)
        with self._server.database.transaction() as connection:
            if not agents.set_state(connection, name, state, among=among, why=""):
                raise Conflict(f"agent {name!r} is {row.state}: it cannot be {event} now")
            self._server.audit.record(connection, f"agent.{event}", by, agent=name)
        self._directory.refresh()

    def _audit_key(
        self, connection: Connection, key: KeyRow, authorities: list[str], by: str
    ) -> None:
        self._server.audit.record(
            connection,
            "agent.key-kept",
            by,
            agent=key.agent,
            key=key.told.name,
            spki=key.spki_hash.hex(),
            authorities=authorities,
        )


def find_key(view: View, text: str) -> KeyRow:
    """Return the key that an operator means: AGENT/LABEL, AGENT/STORE/LABEL or sha256:HEX.

    Raises:
        NotFound: there is none.
        Conflict: there are several.
    """
    if text.startswith(HASH_PREFIX):
        wanted = text.removeprefix(HASH_PREFIX).lower()
        found = [row for row in view.keys if row.spki_hash.hex() == wanted][:1]
    else:
        agent, _, name = text.removeprefix(_PREFIX).partition("/")
        view.agent(agent)
        found = [
            row
            for row in view.of_agent(agent)
            if name in {row.told.name, row.told.name.partition("/")[2]}
        ]
    if not found:
        raise NotFound(f"there is no key {text!r}; 'pikaserver agent keys' lists all")
    if len(found) > 1:
        names = " or ".join(f"{row.agent}/{row.told.name}" for row in found)
        raise Conflict(f"{text!r} could be {names}")
    return found[0]
