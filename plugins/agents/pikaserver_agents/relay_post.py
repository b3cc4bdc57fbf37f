"""Requests by way of the database: another process has the line to the agent.

The frame is sealed here, under this node's own key, so nobody on the way can alter it; the
answer is the agent's own frame.
"""

import time
from collections.abc import Sequence
from time import monotonic

from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.session import read, relay_session_id, seal
from pikaserver.api.errors import KeyUnavailable
from pikaserver.api.server import Server
from pikaserver_agents.complaints import Complaints
from pikaserver_agents.directory import Directory
from pikaserver_agents.frame_keys import frame_verifier
from pikaserver_agents.line import Answer, Lost, Outcome, Request, request_hash
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.node_identities import NodeIdentities
from pikaserver_agents.node_identity import NodeIdentity
from pikaserver_agents.printing import printable
from pikaserver_agents.storage import jobs, nodes
from pikaserver_agents.storage.agents import AgentRow
from pikaserver_agents.storage.jobs import JobRow, JobState, Way
from pikaserver_agents.whereabouts import Whereabouts

UNCLAIMED_SECONDS = 3.0
"""A node with a line takes a request up much sooner; after this time there is none."""
_QUICK_SECONDS = 0.004
_SLOW_SECONDS = 0.05
_QUICKLY_FOR = 1.0


class _NotRead(Exception):
    """The agent refused the frame, whatever is in it."""


class RelayPost:
    """Writes requests into the database and waits for their answers."""

    def __init__(
        self,
        server: Server,
        identities: NodeIdentities,
        directory: Directory,
        whereabouts: Whereabouts,
        complaints: Complaints,
    ) -> None:
        self._server = server
        self._identities = identities
        self._directory = directory
        self._whereabouts = whereabouts
        self._complaints = complaints
        self._now = milliseconds(server.clock)

    def ask(self, agent: AgentRow, request: Request, until: float) -> Outcome:
        """Ask an agent that another process has a line to; ``until`` is monotonic seconds.

        Raises:
            KeyUnavailable: no process has one, or no answer came in time.
        """
        known, *others = self._candidates(agent)
        try:
            return self._ask(agent, request, until, known)
        except _NotRead:
            # Our numbers may lie behind: this database may have been restored from a backup.
            with self._server.database.transaction() as connection:
                nodes.leap(connection, self._server.node, agent.name)
        why: Exception | None = None
        for identity in (known, *others):
            try:
                return self._ask(agent, request, until, identity)
            except _NotRead as error:
                why = why or error
        raise KeyUnavailable(f"agent {agent.name} refuses our frames: {why}") from why

    def _candidates(self, agent: AgentRow) -> Sequence[NodeIdentity]:
        """Return our keys: first the one that the agent knows, as far as we do, then the newest.

        It may have been told of others by another node; it believes the one that it knows.
        """
        newest = [*reversed(self._identities.present())]
        known = self._directory.view().known.get((agent.name, self._server.node))
        return sorted(newest, key=lambda one: one.generation != known)

    def _ask(
        self, agent: AgentRow, request: Request, until: float, identity: NodeIdentity
    ) -> Outcome:
        sent = self._post(agent, request, until, identity)
        began = monotonic()
        while True:
            with self._server.database.reading() as connection:
                job = jobs.find(connection, sent.id)
            if job is None:
                return Lost("the request was removed from the database")
            if job.state in {JobState.ANSWERED, JobState.LOST}:
                return self._end(agent, request, job, identity)
            waited = monotonic() - began
            if job.state is JobState.NEW and self._is_vain(job, waited) and self._withdraw(job):
                raise KeyUnavailable(
                    f"no node that runs has a line to agent {agent.name}: is 'pikaserver run'"
                    " there, and 'hsm-agent run'?"
                )
            if monotonic() > until:
                self._remove(job)
                raise KeyUnavailable(f"agent {agent.name} did not answer in time")
            time.sleep(_QUICK_SECONDS if waited < _QUICKLY_FOR else _SLOW_SECONDS)

    def _is_vain(self, job: JobRow, waited: float) -> bool:
        """Tell whether nobody will take a request up: no process has a line, or none that runs."""
        return waited > UNCLAIMED_SECONDS or job.agent not in self._whereabouts.linked()

    def _post(
        self, agent: AgentRow, request: Request, until: float, identity: NodeIdentity
    ) -> JobRow:
        now = self._now()
        session = relay_session_id(identity.node.frame_key, agent.identity.frame_key)
        with self._server.database.transaction() as connection:
            sequence = nodes.next_sequence(connection, self._server.node, agent.name)
            frame = seal(session, sequence, now, [request], identity.sign)
            job = JobRow(
                id=request.id,
                agent=agent.name,
                way=Way.RELAY,
                node=self._server.node,
                created_at=now,
                deadline=now + max(0, int((until - monotonic()) * 1000)),
                frame=frame.octets(),
                sequence=sequence,
            )
            jobs.add(connection, job)
        return job

    def _end(
        self, agent: AgentRow, request: Request, job: JobRow, identity: NodeIdentity
    ) -> Outcome:
        self._remove(job)
        if job.state is JobState.LOST and job.answer:
            raise _NotRead(printable(job.answer))
        if job.state is JobState.LOST:
            return Lost("the line of the node that relayed it broke")
        try:
            return self._read(agent, request, job.answer, identity)
        except WireError as error:
            self._complaints.add("answer", str(error), agent=agent.name)
            return Lost(f"the relayed answer was of no use: {error}")

    def _read(
        self, agent: AgentRow, request: Request, octets: bytes, identity: NodeIdentity
    ) -> Answer:
        frame = Frame.of(octets)
        frame_verifier(agent.identity.frame_key)(SIGNATURE_LABEL + frame.payload, frame.signature)
        session = relay_session_id(identity.node.frame_key, agent.identity.frame_key)
        _, delivery = read(frame, session, self._now())
        return matching(request, delivery.messages[0])

    def _withdraw(self, job: JobRow) -> bool:
        with self._server.database.transaction() as connection:
            return jobs.withdraw(connection, job.id)

    def _remove(self, job: JobRow) -> None:
        with self._server.database.transaction() as connection:
            jobs.remove(connection, job.id)


def matching(request: Request, answer: object) -> Answer:
    """Return an answer that answers this very request.

    Raises:
        WireError: it answers another one, or is none.
    """
    if not isinstance(answer, Answer):
        raise WireError(f"a {type(answer).__name__} where an answer belongs")
    if answer.id != request.id or answer.request != request_hash(request):
        raise WireError("an answer to another request")
    return answer
