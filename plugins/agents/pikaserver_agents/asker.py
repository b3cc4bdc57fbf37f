"""Asks one certain agent for something other than a signature, by whichever way there is."""

from collections.abc import Callable
from queue import Empty
from time import monotonic

from pikaserver.api.errors import Conflict, KeyUnavailable
from pikaserver.api.server import Server
from pikaserver_agents.directory import Directory
from pikaserver_agents.dispatch import REQUEST_ID_OCTETS, Posts
from pikaserver_agents.line import Answer, Line, Lost, Outcome, Request
from pikaserver_agents.lines import Lines
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.storage.agents import AgentState
from pikaserver_agents.whereabouts import Whereabouts

Make = Callable[[bytes, int], Request]
"""Makes a request of its identifier and of when it expires."""


class Asker:
    """For keys that are to be made, certificates, approvals and journals."""

    def __init__(
        self,
        server: Server,
        directory: Directory,
        lines: Lines,
        posts: Posts,
        whereabouts: Whereabouts,
    ) -> None:
        self._entropy = server.entropy
        self._now = milliseconds(server.clock)
        self._directory = directory
        self._lines = lines
        self._posts = posts
        self._whereabouts = whereabouts

    def request_id(self) -> bytes:
        """Return an identifier that no other request has."""
        return self._entropy(REQUEST_ID_OCTETS)

    def ask(self, agent: str, make: Make, seconds: float) -> Answer:
        """Return an agent's answer, a refusal too.

        Raises:
            NotFound: there is no such agent.
            Conflict: its state does not allow it.
            KeyUnavailable: it cannot be asked now, or does not answer in time; of an agent
                without a line `SignaturePending`.
        """
        row = self._directory.view().agent(agent)
        request = make(self.request_id(), self._now() + int(seconds * 1000))
        if row.state is AgentState.OFFLINE:
            return self._posts.offline.ask(agent, request)
        if row.state not in {AgentState.ENROLLED, AgentState.DRAINING}:
            raise Conflict(self._whereabouts.explain_agent(agent))
        until = monotonic() + seconds
        line = self._lines.get(agent)
        if line is not None:
            outcome = _by_line(line, request, until)
        elif agent in self._whereabouts.linked():
            outcome = self._posts.relay.ask(row, request, until)
        else:
            raise KeyUnavailable(self._whereabouts.explain_agent(agent))
        if isinstance(outcome, Lost):
            raise KeyUnavailable(f"agent {agent} went away: {outcome.why}")
        return outcome


def _by_line(line: Line, request: Request, until: float) -> Outcome:
    try:
        return line.ask(request).get(timeout=max(0.0, until - monotonic()))
    except Empty:
        line.forget(request.id)
        raise KeyUnavailable(f"agent {line.agent} did not answer in time") from None
