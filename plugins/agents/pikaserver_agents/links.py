"""What other processes are told of our lines, and which process looks after an agent."""

from collections.abc import Sequence
from threading import Lock
from time import monotonic

from pikaserver.api.server import Server
from pikaserver_agents.line import Line
from pikaserver_agents.lines import Lines
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.printing import printable
from pikaserver_agents.storage import agents, nodes
from pikaserver_agents.storage.nodes import LinkRow
from pikaserver_agents.whereabouts import RENEW_SECONDS, Whereabouts


class Links:
    """Keeps the rows of this node's lines."""

    def __init__(self, server: Server, lines: Lines, whereabouts: Whereabouts) -> None:
        self._server = server
        self._lines = lines
        self._whereabouts = whereabouts
        self._now = milliseconds(server.clock)
        self._lock = Lock()
        self._renewed = 0.0

    def begin(self) -> None:
        """Forget what a crash of this node left; from now on its lines are ours."""
        self._whereabouts.serving = True
        with self._server.database.reading() as connection:
            left = any(row.node == self._server.node for row in nodes.list_links(connection))
        if left:
            with self._server.database.transaction() as connection:
                nodes.drop_links(connection, self._server.node)

    def add(self, line: Line) -> None:
        """Tell of a line that can be used, and what the agent says of itself."""
        now = self._now()
        software, policy = printable(line.hello.software), line.hello.policy
        with self._server.database.transaction() as connection:
            nodes.put_link(connection, LinkRow(line.agent, self._server.node, now, now))
            agents.set_facts(connection, line.agent, software, policy, now)

    def remove(self, line: Line) -> None:
        """Tell that a line ended; when the agent was there last is remembered."""
        with self._server.database.transaction() as connection:
            nodes.drop_links(connection, self._server.node, [line.agent])
            agents.set_seen(connection, line.agent, self._now())

    def renew(self) -> None:
        """Tell now and then that the lines hold."""
        with self._lock:
            if monotonic() - self._renewed < RENEW_SECONDS:
                return
            self._renewed = monotonic()
        present = self._present()
        if present:
            with self._server.database.transaction() as connection:
                nodes.renew_links(connection, self._server.node, present, self._now())

    def is_first(self, agent: str) -> bool:
        """Tell whether, of the nodes with a line to an agent, ours has the lowest number."""
        others = [link.node for link in self._whereabouts.linked().get(agent, ())]
        return all(number > self._server.node for number in others)

    def _present(self) -> Sequence[str]:
        return [agent for agent, line in self._lines.present().items() if line.ready]
