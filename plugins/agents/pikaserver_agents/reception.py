"""The first steps of a connection: TLS, pins, nonces; then a line, or an enrolment."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic

from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import Frame, receive_octets, with_length
from hsm_agent.wire.messages import (
    Enroll,
    Enrolled,
    Goodbye,
    Hello,
    Inventory,
    Mark,
    Message,
    Node,
    Welcome,
)
from hsm_agent.wire.session import Session
from pikaserver.api.errors import PikaserverError, StorageUnavailable
from pikaserver.api.server import Server
from pikaserver_agents import inventory
from pikaserver_agents.complaints import Complaints
from pikaserver_agents.directory import Directory
from pikaserver_agents.enrollment import Enrollments, Way
from pikaserver_agents.frame_keys import check_version, frame_verifier, newcomer_verifier
from pikaserver_agents.line import Line, LineEvents, WrongAnswer
from pikaserver_agents.lines import Lines
from pikaserver_agents.links import Links
from pikaserver_agents.node_identity import pin_of
from pikaserver_agents.opening import Opened, Opener
from pikaserver_agents.peers import Peer
from pikaserver_agents.printing import printable
from pikaserver_agents.scribe import Scribe
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.steward import Steward
from pikaserver_agents.storage import agents, node_keys
from pikaserver_agents.storage.agents import AgentRow, AgentState
from pikaserver_agents.tls_stream import LineBroken, TlsStream, TooSlow

GREETING_SECONDS = 10.0
"""How long everything before `Welcome`, or a whole enrolment, may take."""
LARGEST_ENROLLMENT = 16 * 1024
"""Octets of the one frame that somebody unknown may send."""

_log = logging.getLogger(__name__)


class _Turned(Exception):
    """Somebody is sent away; ``reason`` is one of ``pikaserver_agents.complaints.REASONS``."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Staff:
    """Whom the reception works with; ``steward`` makes one for a line."""

    directory: Directory
    lines: Lines
    links: Links
    complaints: Complaints
    enrollments: Enrollments
    scribe: Scribe
    steward: Callable[[Line], Steward]


class Reception:
    """Serves one connection per call, in the caller's thread, from its first octet to its last."""

    def __init__(self, server: Server, staff: Staff) -> None:
        self._server = server
        self._staff = staff
        self._settings = server.settings(AgentSettings)
        self._opener = Opener(server)

    def serve(self, stream: TlsStream, address: str, known: Callable[[], None]) -> None:
        """Serve a connection; whatever goes wrong is noted, and ends it.

        ``known`` is called when it turns out to be the line of an agent.
        """
        stream.until = monotonic() + GREETING_SECONDS
        agent = ""
        try:
            certificate = self._shake_hands(stream)
            if not certificate:
                return self._enroll(stream)
            row, opened = self._know(stream, certificate)
            agent = row.name
            line = self._greet(row, stream, opened, certificate)
            known()
            self._hold(line)
        except _Turned as turned:
            self._complain(turned.reason, turned, address, agent)
        except WrongAnswer as error:
            self._complain("answer", error, address, agent)
        except WireError as error:
            self._complain("frame", error, address, agent)
        except TooSlow as error:
            self._complain("slow", error, address, agent)
        except (LineBroken, OSError, PikaserverError) as error:
            extra = {"event": "agents.line", "agent": agent, "why": str(error), "from": address}
            _log.info("line ended", extra=extra)
        finally:
            stream.linger()
            stream.close()

    def welcome(self, row: AgentRow, peer: Peer) -> Welcome:
        """Return what an agent is told of the server as it is now."""
        return Welcome(
            version=peer.version,
            node=self._server.node,
            nodes=self._nodes(peer),
            heartbeat=self._settings.heartbeat,
            dead=self._settings.dead,
            journal=self._mark(row),
        )

    def _nodes(self, peer: Peer) -> tuple[Node, ...]:
        return tuple(key.node for key in self._staff.directory.view().named_to(peer))

    def _mark(self, row: AgentRow) -> Mark:
        """Return the newest mark; marks move too often to be seen in the view."""
        try:
            with self._server.database.reading() as connection:
                fresh = agents.find(connection, row.name)
        except StorageUnavailable:
            return row.mark
        return row.mark if fresh is None else fresh.mark

    def _shake_hands(self, stream: TlsStream) -> bytes:
        """Return the certificate of the other side, none where it showed none."""
        try:
            stream.handshake()
        except TooSlow:
            raise
        except LineBroken as broken:
            if not stream.heard:
                raise  # somebody looked whether the door is there
            raise _Turned("tls", str(broken)) from broken
        return stream.peer_certificate()

    def _know(self, stream: TlsStream, certificate: bytes) -> tuple[AgentRow, Opened]:
        """Return whose key this is, and a session with that agent."""
        pin = pin_of(certificate)
        directory = self._staff.directory
        row = directory.view().by_pin(pin) or directory.refresh().by_pin(pin)
        if row is None:
            raise _Turned("pin", f"sha256:{pin.hex()}")
        identity = row.identity
        if row.following is not None and row.following.pin == pin:
            identity = row.following
        verify = frame_verifier(identity.frame_key)
        opened = self._opener.open(stream, certificate, verify)
        check_version(opened.peer.version, identity.frame_key)
        return row, opened

    def _greet(self, row: AgentRow, stream: TlsStream, opened: Opened, certificate: bytes) -> Line:
        """Exchange the first messages with an agent."""
        session, peer = opened.session, opened.peer
        try:
            frame = Frame.of(receive_octets(stream.receive))
            hello = _check_hello(_first(frame, session), row, peer)
        except WireError as error:
            _say(stream, session, Goodbye("protocol", str(error).encode()))
            raise
        self._promote(row, certificate)
        self._note_known(row, opened.identity.generation)
        line = Line(row.name, stream, session, hello)
        line.peer = peer
        line.held = row.state is AgentState.DRAINING
        _say(stream, session, self.welcome(row, peer))
        return line

    def _hold(self, line: Line) -> None:
        """Serve an agent's line until it ends."""
        steward = self._staff.steward(line)
        self._staff.lines.add(line)
        steward.start()
        try:
            line.run(
                LineEvents(
                    inventory=partial(_take_inventory, steward),
                    mark=partial(self._take_mark, line),
                    enroll=partial(self._rotate, line),
                )
            )
        finally:
            newest = self._staff.lines.remove(line)
            steward.stop()
            if newest:
                self._staff.links.remove(line)

    def _promote(self, row: AgentRow, certificate: bytes) -> None:
        """Let the keys of a rotation count from their first use on, and no others any more."""
        pin = pin_of(certificate)
        if pin == row.identity.pin:
            return
        with self._server.database.transaction() as connection:
            agents.promote(connection, row.name, pin)
            self._server.audit.record(
                connection, "agent.rotated", f"agent:{row.name}", agent=row.name, pin=pin.hex()
            )
        self._staff.directory.refresh()

    def _note_known(self, row: AgentRow, generation: int) -> None:
        """Remember by which of our keys an agent knows this node, where that is news."""
        number = self._server.node
        if self._staff.directory.view().known.get((row.name, number)) == generation:
            return
        with self._server.database.transaction() as connection:
            node_keys.set_known(connection, row.name, {number: generation})
        self._staff.directory.refresh()

    def _take_mark(self, line: Line, mark: Mark) -> None:
        # Before its journal was looked at, an agent shall not overwrite what is known of it.
        if line.ready:
            self._staff.scribe.note_mark(line.agent, mark)

    def _rotate(self, line: Line, message: Enroll) -> None:
        try:
            self._staff.enrollments.rotate(line.agent, message, line.peer.version)
        except PikaserverError as error:
            self._staff.complaints.add("enrollment", str(error), agent=line.agent)
        else:
            line.say(Enrolled(line.agent, self._nodes(line.peer)))

    def _enroll(self, stream: TlsStream) -> None:
        """Hear somebody unknown: one frame, with a code in it."""
        opened = self._opener.open(stream, b"", newcomer_verifier)
        session = opened.session
        message = _first(Frame.of(receive_octets(stream.receive, LARGEST_ENROLLMENT)), session)
        if not isinstance(message, Enroll):
            raise _Turned("pin", "a line without a client certificate may only enrol")
        try:
            named = self._staff.directory.view().named_to(opened.peer)
            told = {key.node.number: key.generation for key in named}
            way = Way(opened.peer.version, opened.identity.node, told=told)
            agent = self._staff.enrollments.enroll(message, way)
        except PikaserverError as error:
            _say(stream, session, Goodbye("enrollment", str(error).encode()))
            raise _Turned("enrollment", str(error)) from error
        _say(stream, session, Enrolled(agent, self._nodes(opened.peer)))

    def _complain(self, reason: str, why: Exception, address: str, agent: str) -> None:
        text = printable(str(why))
        self._staff.complaints.add(reason, text, address=address, agent=agent)


def _first(frame: Frame, session: Session) -> Message:
    messages = session.open(frame).messages
    if len(messages) != 1:
        raise WireError("a first frame with more than one message")
    return messages[0]


def _check_hello(hello: Message, row: AgentRow, peer: Peer) -> Hello:
    """Return the first message of an agent, as it should be.

    Raises:
        WireError: it is another one, or speaks for another agent or another version.
    """
    if not isinstance(hello, Hello):
        raise WireError("a first message that is no hello")
    if peer.version not in hello.versions:
        raise WireError(f"this line speaks version {peer.version} of the protocol")
    if hello.agent != row.name:
        raise WireError(f"the key of agent {row.name!r}, and another name")
    inventory.check(hello)
    return hello


def _take_inventory(steward: Steward, message: Inventory) -> None:
    inventory.check(message)
    steward.announce(message)


def _say(stream: TlsStream, session: Session, message: Message) -> None:
    stream.send(with_length(session.seal([message]).octets()))
