"""The first words on a connection, and the session that they make: version 1, and version 2."""

from dataclasses import dataclass

from hsm_agent.wire.channel_kinds import VERSION_1, Abilities
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import ED25519, frame_pin
from hsm_agent.wire.frames import NONCE_OCTETS, receive_octets, with_length
from hsm_agent.wire.openings import (
    LARGEST_AGENT_OPENING,
    AgentOpening,
    NodeOpening,
    opened_session_id,
    proved_octets,
)
from hsm_agent.wire.session import Session, Verifier, session_id
from pikaserver.api.server import Server
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.node_identity import NodeIdentity
from pikaserver_agents.peers import OLDEST, Peer
from pikaserver_agents.tls_stream import TlsStream


@dataclass(frozen=True, slots=True)
class Opened:
    """A session, how the agent speaks in it, and by which of our keys it knows this node."""

    session: Session
    peer: Peer
    identity: NodeIdentity


class Opener:
    """Makes sessions."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._now = milliseconds(server.clock)

    def open(self, stream: TlsStream, certificate: bytes, verify: Verifier) -> Opened:
        """Exchange the first words with an agent that showed this certificate, or none.

        Raises:
            WireError: what it says is not of the protocol, or it knows this node by other keys.
            LineBroken: it says nothing.
        """
        version, identity = stream.version(), stream.shown()
        if version == OLDEST:
            identifier, abilities = self._by_nonces(stream, certificate, identity), VERSION_1
        else:
            identifier, abilities = self._by_openings(stream, certificate, identity)
        session = Session(identifier, identity.sign, verify, self._now)
        return Opened(session, Peer(version, abilities), identity)

    def _by_nonces(self, stream: TlsStream, certificate: bytes, identity: NodeIdentity) -> bytes:
        if identity.kinds.frames != ED25519:
            raise WireError("version 1 knows no frame keys but those of Ed25519")
        nonce = self._server.entropy(NONCE_OCTETS)
        stream.send(with_length(nonce))
        theirs = receive_octets(stream.receive, NONCE_OCTETS)
        if len(theirs) != NONCE_OCTETS:
            raise WireError(f"a nonce of {len(theirs)} octets")
        return session_id(nonce, theirs, identity.certificate, certificate)

    def _by_openings(
        self, stream: TlsStream, certificate: bytes, identity: NodeIdentity
    ) -> tuple[bytes, Abilities]:
        heard = receive_octets(stream.receive, LARGEST_AGENT_OPENING)
        opening = AgentOpening.of(heard)
        ours = identity.node.frame_key
        is_known = opening.node == frame_pin(ours)
        nonce = self._server.entropy(NONCE_OCTETS)
        if not is_known:
            stream.send(with_length(NodeOpening(nonce, b"", b"").octets()))
            raise WireError("an agent that knows this node by another frame key")
        proof = identity.sign(proved_octets(heard, nonce, identity.certificate, certificate))
        said = NodeOpening(nonce, ours, proof).octets()
        stream.send(with_length(said))
        session = opened_session_id(heard, said, identity.certificate, certificate)
        return session, opening.abilities
