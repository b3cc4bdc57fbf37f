"""Bundles on the server's side: what waits goes out, what was answered comes in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from hsm_agent.wire import bundles
from hsm_agent.wire.bundles import BUNDLE_LIFE, Bundle, read_from_bundle, seal_for_bundle
from hsm_agent.wire.codec import from_map, to_map
from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import (
    PROTOCOL,
    VERSIONS,
    Done,
    Enroll,
    Generate,
    Inventory,
    JournalLines,
    JournalRead,
    Message,
    Sign,
    Signed,
)
from hsm_agent.wire.session import relay_session_id
from pikaserver.api.errors import Conflict, MalformedRequest
from pikaserver.api.server import Server
from pikaserver_agents import inventory
from pikaserver_agents.directory import Directory
from pikaserver_agents.enrollment import Enrollments, Way
from pikaserver_agents.frame_keys import frame_verifier, newcomer_verifier
from pikaserver_agents.inventory import Inventories
from pikaserver_agents.journals import Contradiction, Journals
from pikaserver_agents.ledger import Asked, Ledger
from pikaserver_agents.line import Answer, Request, request_hash
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.node_identities import NodeIdentities
from pikaserver_agents.node_identity import NodeIdentity
from pikaserver_agents.offline_post import deed_of
from pikaserver_agents.storage import agents, jobs, marks, nodes
from pikaserver_agents.storage.agents import AgentRow, AgentState
from pikaserver_agents.storage.jobs import JobRow, JobState
from pikaserver_agents.storage.jobs import Way as JobWay
from pikaserver_agents.storage.node_keys import FIRST
from pikaserver_agents.structures import purpose_of, sha256

JOURNAL_LINES = 10_000
"""How many lines of its journal an agent is asked for with each bundle, at most."""


@dataclass(slots=True)
class Imported:
    """What a bundle brought: how many answers, how many that nobody waits for, what was wrong."""

    agent: str
    answers: int = 0
    unexpected: int = 0
    journal: int = 0
    faults: list[str] = field(default_factory=list)


class BundleDesk:
    """Writes and reads files for agents without a line."""

    def __init__(
        self,
        server: Server,
        directory: Directory,
        identities: NodeIdentities,
        journals: Journals,
        inventories: Inventories,
        ledger: Ledger,
    ) -> None:
        self._server = server
        self._directory = directory
        self._identities = identities
        self._journals = journals
        self._inventories = inventories
        self._ledger = ledger
        self._now = milliseconds(server.clock)

    def export(self, agent: str, request_id: bytes, by: str) -> tuple[bytes, int]:
        """Return a bundle with everything that waits for an agent, and how much that is.

        The agent is asked for its journal, too, as far as it is not known yet.

        Raises:
            Conflict: the agent has a line, or may not be asked.
        """
        row = self._directory.refresh().agent(agent)
        if row.state is not AgentState.OFFLINE:
            raise Conflict(f"agent {agent!r} is {row.state}: bundles are for agents without a line")
        identity = self._known_identity(agent)
        with self._server.database.transaction() as connection:
            # A newer bundle holds all that an older one did: that one may come too late.
            nodes.leap(connection, self._server.node, agent)
            waiting = self._waiting(connection, agent)
            journal = self._journal_job(connection, row, request_id)
            frames = [self._frame(connection, row, job, identity) for job in (*waiting, journal)]
            self._server.audit.record(
                connection, "agent.bundle-exported", by, agent=agent, requests=len(waiting)
            )
        asking = identity.node.frame_key
        bundle = Bundle(bundles.REQUESTS, agent, tuple((asking, one) for one in frames))
        return bundle.octets(), len(waiting)

    def import_(self, octets: bytes, by: str) -> Imported:
        """Take the answers of a bundle; what is wrong with one of them concerns no other.

        Raises:
            MalformedRequest: the file as a whole is no bundle of answers.
            NotFound: it is of an agent that is not known.
        """
        try:
            bundle = Bundle.of(octets, bundles.ANSWERS)
        except WireError as error:
            raise MalformedRequest(str(error)) from error
        row = self._directory.refresh().agent(bundle.agent)
        done = Imported(row.name)
        for place, (asking, frame) in enumerate(bundle.frames, 1):
            try:
                for message in self._read(row, asking, frame):
                    self._take(row, message, done)
            except WireError as error:
                done.faults.append(f"frame {place}: {error}")
        with self._server.database.transaction() as connection:
            agents.set_seen(connection, row.name, self._now())
            self._server.audit.record(
                connection, "agent.bundle-imported", by, agent=row.name, answers=done.answers
            )
        self._directory.refresh()
        return done

    def register(self, octets: bytes, enrollments: Enrollments) -> str:
        """Register an agent by the file that it wrote; return its name.

        Raises:
            MalformedRequest: the file is no registration.
            PikaserverError: see `Enrollments.enroll`.
        """
        try:
            ((_, one),) = Bundle.of(octets, bundles.REGISTRATION).frames
            frame = Frame.of(one)
            newcomer_verifier(SIGNATURE_LABEL + frame.payload, frame.signature)
            session = bundles.registration_session_id(_token_of(frame))
            sequence, delivery = read_from_bundle(frame, session, self._now())
        except (WireError, ValueError) as error:
            raise MalformedRequest(f"no registration of an agent: {error}") from error
        match delivery.messages:
            case (Enroll() as message,) if sequence == 1:
                version = max(set(message.versions) & set(VERSIONS), default=PROTOCOL)
                return enrollments.enroll(message, Way(version, by_hand=True))
        raise MalformedRequest("no registration of an agent")

    def _known_identity(self, agent: str) -> NodeIdentity:
        """Return our keys by which an agent without a line knows us: those that its code named.

        Raises:
            Conflict: they were retired.
        """
        known = self._directory.view().known.get((agent, self._server.node), FIRST)
        identity = self._identities.by_generation(known)
        if identity is None:
            raise Conflict(
                f"agent {agent!r} knows this node by keys that were retired:"
                f" 'pikaserver agent rotate {agent}' makes a code with the present ones"
            )
        return identity

    def _waiting(self, connection: Connection, agent: str) -> list[JobRow]:
        """Return what waits; an earlier wish to see the journal counts no more."""
        waiting = []
        for job in jobs.for_bundle(connection, agent, self._now()):
            if isinstance(_request_of(job), JournalRead):
                jobs.remove(connection, job.id)
            else:
                waiting.append(job)
        return waiting

    def _journal_job(self, connection: Connection, row: AgentRow, request_id: bytes) -> JobRow:
        first = row.mirrored.index + 1
        read = JournalRead(request_id, first, first + JOURNAL_LINES - 1)
        job = JobRow(
            id=request_id,
            agent=row.name,
            way=JobWay.OFFLINE,
            node=self._server.node,
            created_at=self._now(),
            deadline=self._now() + BUNDLE_LIFE,
            deed=deed_of(read),
            message=encode(to_map(read)),
        )
        jobs.add(connection, job)
        return job

    def _frame(
        self, connection: Connection, row: AgentRow, job: JobRow, identity: NodeIdentity
    ) -> bytes:
        session = relay_session_id(identity.node.frame_key, row.identity.frame_key)
        sequence = nodes.next_sequence(connection, self._server.node, row.name)
        message = from_map(decode(job.message))
        frame = seal_for_bundle(session, sequence, self._now(), [message], identity.sign)
        jobs.mark_carried(connection, job.id, sequence, frame.octets())
        return frame.octets()

    def _read(self, row: AgentRow, asking: bytes, octets: bytes) -> Sequence[Message]:
        if all(key.node.frame_key != asking for key in self._directory.view().node_keys):
            raise WireError("an answer to somebody who is no node of this server")
        frame = Frame.of(octets)
        frame_verifier(row.identity.frame_key)(SIGNATURE_LABEL + frame.payload, frame.signature)
        session = relay_session_id(asking, row.identity.frame_key)
        _, delivery = read_from_bundle(frame, session, self._now())
        return delivery.messages

    def _take(self, row: AgentRow, message: Message, done: Imported) -> None:
        if isinstance(message, Inventory):
            inventory.check(message)
            self._inventories.take(row.name, message.keys, message.stores)
        elif isinstance(message, Answer):
            self._take_answer(row, message, done)
        else:
            raise WireError(f"a {type(message).__name__}, which answers nothing")

    def _take_answer(self, row: AgentRow, answer: Answer, done: Imported) -> None:
        with self._server.database.reading() as connection:
            job = jobs.find(connection, answer.id)
        if job is None or job.agent != row.name or job.state is not JobState.CLAIMED:
            done.unexpected += 1
            return
        request = _request_of(job)
        if request_hash(request) != answer.request:
            raise WireError("an answer to another request")
        self._learn(row, request, answer, done)
        with self._server.database.transaction() as connection:
            marks.raise_told(connection, row.name, self._server.node, answer.journal)
            if isinstance(request, JournalRead):
                jobs.remove(connection, job.id)
            else:
                jobs.answer(connection, job.id, encode(to_map(answer)))
                done.answers += 1

    def _learn(self, row: AgentRow, request: Request, answer: Answer, done: Imported) -> None:
        """Take what an answer tells besides."""
        match request, answer:
            case JournalRead(first=first), JournalLines(lines=[_, *_]):
                self._take_journal(row, first, answer, done)
            case Sign(), Signed():
                purpose, tbs_hash = purpose_of(request.tbs), sha256(request.tbs)
                asked = Asked(row.name, request, tbs_hash, purpose)
                self._ledger.signed(asked, answer.journal, 0.0)
            case Generate(), Done(keys=made):
                for key in made:
                    self._inventories.take_key(row.name, key)

    def _take_journal(
        self, row: AgentRow, first: int, answer: JournalLines, done: Imported
    ) -> None:
        try:
            self._journals.take(row.name, first, answer.lines)
        except Contradiction as contradiction:
            self._journals.lock_out(row.name, str(contradiction))
            done.faults.append(f"the agent is locked out: its journal differs: {contradiction}")
        else:
            done.journal += len(answer.lines)


def _request_of(job: JobRow) -> Request:
    request = from_map(decode(job.message))
    if not isinstance(request, Request):
        raise WireError("what was stored is no request")
    return request


def _token_of(frame: Frame) -> bytes:
    match decode(frame.payload):
        case {"m": [{"token": bytes() as token}]}:
            return token
    raise WireError("a registration without a code")
