"""Where agents are: on a line of this process, of another one, or away, and since when."""

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from time import monotonic

from pikaserver.api.server import Server
from pikaserver_agents.directory import Directory
from pikaserver_agents.lines import Lines
from pikaserver_agents.moments import milliseconds, told
from pikaserver_agents.references import FoundKey
from pikaserver_agents.storage import nodes
from pikaserver_agents.storage.agents import AgentRow, AgentState
from pikaserver_agents.storage.keys import KeyRow
from pikaserver_agents.storage.nodes import LinkRow

RENEW_SECONDS = 10.0
"""How often a node says that its lines hold."""
LINK_LIFE = 25_000
"""Milliseconds after which nobody believes what a node said last."""
_FRESH_SECONDS = 0.5
READY = "ready"

_STATES = {
    AgentState.WAITING: "waits for 'pikaserver agent approve {0}'",
    AgentState.DRAINING: "is drained; 'pikaserver agent drain {0} --off' ends that",
    AgentState.LOCKED: "is locked out: {1}",
    AgentState.RETIRED: "is retired",
}


class Whereabouts:
    """Tells which agents can be reached, and explains it where one cannot."""

    def __init__(self, server: Server, directory: Directory, lines: Lines) -> None:
        self._database = server.database
        self._now = milliseconds(server.clock)
        self._directory = directory
        self._lines = lines
        self._node = server.node
        self.serving = False
        """Whether this process has the lines of its node: then it needs no row to know them."""
        self._lock = Lock()
        self._links: Sequence[LinkRow] = ()
        self._read = 0.0

    def linked(self) -> Mapping[str, Sequence[LinkRow]]:
        """Return, by agent, the lines that other processes say to have."""
        with self._lock:
            if not self._read or monotonic() - self._read > _FRESH_SECONDS:
                with self._database.reading() as connection:
                    self._links = nodes.list_links(connection)
                self._read = monotonic()
            links = self._links
        found: dict[str, list[LinkRow]] = {}
        for link in links:
            ours = self.serving and link.node == self._node
            if link.last_seen > self._now() - LINK_LIFE and not ours:
                found.setdefault(link.agent, []).append(link)
        return found

    def is_up(self, agent: str) -> bool:
        """Tell whether an agent can be asked now, from here or by way of another process."""
        return self._lines.get(agent) is not None or agent in self.linked()

    def elsewhere(self, rows: Iterable[KeyRow]) -> list[AgentRow]:
        """Return those of a key's agents that another process has a line to."""
        view, linked = self._directory.view(), self.linked()
        return [
            view.agents[row.agent]
            for row in rows
            if row.told.state == READY
            and row.agent in linked
            and view.agents[row.agent].state is AgentState.ENROLLED
        ]

    def by_hand(self, rows: Iterable[KeyRow]) -> list[str]:
        """Return those of a key's agents that bundles are carried to."""
        view = self._directory.view()
        return [row.agent for row in rows if view.agents[row.agent].state is AgentState.OFFLINE]

    def may_sign(self, key: FoundKey) -> bool:
        """Tell whether some agent can be asked to use a key."""
        if any(line.can_sign(key.spki_hash) for line in self._lines.present().values()):
            return True
        return bool(self.by_hand(key.rows) or self.elsewhere(key.rows))

    def explain(self, key: FoundKey) -> str:
        """Say why no agent can use a key now, and what helps."""
        if not key.rows:
            return (
                f"no agent announces the key that agent {key.agent} had;"
                " 'pikaserver agent keys' lists those that are there"
            )
        reasons = "; ".join(dict.fromkeys(self._reason(row) for row in key.rows))
        return f"{reasons}; 'pikaserver agent show {key.rows[0].agent}' tells more"

    def explain_agent(self, name: str) -> str:
        """Say why an agent cannot be asked now."""
        row = self._directory.refresh().agents[name]
        if row.state in _STATES:
            return f"agent {name} {_STATES[row.state].format(name, row.why)}"
        if self.is_up(name):
            return f"agent {name} is there"
        if not row.last_seen:
            return f"agent {name} was never here: start 'hsm-agent run' there"
        return (
            f"agent {name} is away since {told(row.last_seen)}: is 'hsm-agent run' running there,"
            " and does it reach this server?"
        )

    def _reason(self, row: KeyRow) -> str:
        agent = self._directory.view().agents[row.agent]
        if agent.state in _STATES or not self.is_up(row.agent):
            return self.explain_agent(row.agent)
        if row.told.state != READY:
            return f"key {row.told.name} of agent {row.agent} is {row.told.state}"
        return f"agent {row.agent} takes nothing new now"
