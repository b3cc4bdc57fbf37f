"""What the database knows of agents, as one view that is read again when it has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from time import monotonic

from sqlalchemy import Connection

from hsm_agent.wire.messages import Node
from pikaserver.api.errors import NotFound, StorageUnavailable
from pikaserver.api.storage import Database
from pikaserver_agents.peers import OLDEST, Peer
from pikaserver_agents.storage import agents, approvals, codes, keys, node_keys, revisions
from pikaserver_agents.storage.agents import MAY_CONNECT, AgentRow
from pikaserver_agents.storage.approvals import ApprovalRow
from pikaserver_agents.storage.keys import KeyRow, StoreRow
from pikaserver_agents.storage.node_keys import NodeKey

FRESH_SECONDS = 1.0
"""How old a view may be: so late at most a process sees what another one changed."""


@dataclass(frozen=True)
class View:
    """Agents, keys and nodes at one revision; ``codes_until`` is when the last open code ends.

    ``node_keys`` has all keys of nodes, by their numbers and from the oldest on; ``known`` says by
    which generation an agent knows a node.
    """

    revision: int
    agents: Mapping[str, AgentRow]
    keys: Sequence[KeyRow]
    stores: Sequence[StoreRow]
    allowed: Mapping[bytes, frozenset[str]]
    node_keys: Sequence[NodeKey]
    approvals: Mapping[bytes, ApprovalRow]
    codes_until: int
    known: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def agent(self, name: str) -> AgentRow:
        """Return one agent.

        Raises:
            NotFound: there is none of that name.
        """
        if name not in self.agents:
            known = ", ".join(self.agents) or "none yet"
            raise NotFound(
                f"there is no agent {name!r}; there are: {known}"
                f" ('pikaserver agent enroll {name}' adds one)"
            )
        return self.agents[name]

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as agents of version 1 know them: by their oldest classical keys."""
        return tuple(key.node for key in self.named_to(Peer()))

    def named_to(self, peer: Peer) -> Sequence[NodeKey]:
        """Return by which key each node is told to an agent: the newest that it can verify.

        An agent of version 1 cannot ask for one of several keys, so it keeps to the oldest.
        """
        able = [key for key in self.node_keys if peer.abilities.can(key.kinds)]
        if peer.version == OLDEST:
            able.reverse()
        chosen = {key.node.number: key for key in able}
        return [chosen[number] for number in sorted(chosen)]

    def newest_keys(self) -> Sequence[NodeKey]:
        """Return the newest key of each node."""
        return list({key.node.number: key for key in self.node_keys}.values())

    def keys_of(self, number: int) -> Sequence[NodeKey]:
        """Return the keys of one node from the oldest on."""
        return [key for key in self.node_keys if key.node.number == number]

    def by_pin(self, pin: bytes) -> AgentRow | None:
        """Return the agent that may connect with this TLS key, its next one included."""
        return self._by_pin.get(pin)

    def holders(self, spki_hash: bytes) -> Sequence[KeyRow]:
        """Return a key as each of its agents announced it."""
        return self._by_key.get(spki_hash, ())

    def of_agent(self, name: str) -> Sequence[KeyRow]:
        """Return the keys of one agent."""
        return [row for row in self.keys if row.agent == name]

    def certificates(self) -> tuple[bytes, ...]:
        """Return the TLS certificates of all agents that may connect."""
        return tuple(
            one.certificate
            for row in self.agents.values()
            if row.state in MAY_CONNECT
            for one in (row.identity, row.following)
            if one is not None
        )

    @cached_property
    def _by_pin(self) -> Mapping[bytes, AgentRow]:
        return {
            one.pin: row
            for row in self.agents.values()
            if row.state in MAY_CONNECT
            for one in (row.identity, row.following)
            if one is not None
        }

    @cached_property
    def _by_key(self) -> Mapping[bytes, Sequence[KeyRow]]:
        found: dict[bytes, list[KeyRow]] = {}
        for row in self.keys:
            found.setdefault(row.spki_hash, []).append(row)
        return found


class Directory:
    """Keeps the newest view; a look at one number tells whether there is a newer one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = Lock()
        self._view: View | None = None
        self._looked = 0.0

    def view(self) -> View:
        """Return a view that is not older than `FRESH_SECONDS`, or than the database's silence.

        Raises:
            StorageUnavailable: nothing was ever read.
        """
        view = self._view
        if view is not None and monotonic() - self._looked < FRESH_SECONDS:
            return view
        if view is not None and not self._reading.acquire(blocking=False):
            return view  # another thread is reading; nobody waits for that
        try:
            return self._look(view)
        finally:
            if view is not None:
                self._reading.release()

    def refresh(self) -> View:
        """Return the view as it is now."""
        with self._reading:
            return self._look(self._view)

    def _look(self, view: View | None) -> View:
        try:
            with self._database.reading() as connection:
                number = revisions.number(connection)
                if view is None or view.revision != number:
                    view = _read(connection, number)
        except StorageUnavailable:
            # Agents go on signing with what is known; whoever stores needs the database itself.
            if view is None:
                raise
        self._view, self._looked = view, monotonic()
        return view


def _read(connection: Connection, number: int) -> View:
    return View(
        revision=number,
        agents={row.name: row for row in agents.list_all(connection)},
        keys=keys.list_keys(connection),
        stores=keys.list_stores(connection),
        allowed=keys.allowed_authorities(connection),
        node_keys=node_keys.list_keys(connection),
        known=node_keys.list_known(connection),
        approvals={row.approval: row for row in approvals.list_all(connection)},
        codes_until=codes.open_until(connection),
    )
