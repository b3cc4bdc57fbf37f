"""The first steps of a line: TLS, the pin, both nonces, and the session that they make."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hsm_agent.channel.dialling import dial
from hsm_agent.channel.faults import Lost, NotKnownThere, NotReached, WrongServer
from hsm_agent.channel.tls_stream import TlsStream, client_context
from hsm_agent.identity.identity import Identity, frame_verifier, pin_of
from hsm_agent.settings.settings import Proxy
from hsm_agent.wire.channel_kinds import ML_DSA_TLS, VERSION_1, Abilities
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import ED25519, frame_pin, pinned_kind
from hsm_agent.wire.frames import (
    NONCE_OCTETS,
    Frame,
    receive_octets,
    with_length,
)
from hsm_agent.wire.messages import PROTOCOL, Message, Node
from hsm_agent.wire.openings import (
    LARGEST_NODE_OPENING,
    AgentOpening,
    NodeOpening,
    opened_session_id,
    proved_octets,
    server_name,
)
from hsm_agent.wire.session import Delivery, Session, session_id
from hsm_agent.wire.tls_abilities import explain_missing

_NO_COMMON_KEY = "HANDSHAKE_FAILURE"
_NO_SUCH_KEY = "UNRECOGNIZED_NAME"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What dialling needs besides the node: clock in ms, randomness, timeout in seconds."""

    now_ms: Callable[[], int]
    entropy: Callable[[int], bytes]
    timeout: float = 5.0
    proxy: Proxy | None = None
    abilities: Abilities = VERSION_1
    """Which keys of nodes can be verified here."""


class FramedLine:
    """A TLS connection that carries messages; any thread sends, one receives."""

    def __init__(self, stream: TlsStream, session: Session, version: int = PROTOCOL) -> None:
        self.stream = stream
        self.version = version
        self._session = session
        self._sending = threading.Lock()

    def send(self, *messages: Message) -> None:
        """Send messages as one frame.

        Raises:
            LineFault: the line is gone.
        """
        with self._sending:
            self.stream.send(with_length(self._session.seal(messages).octets()))

    def receive(self) -> Delivery:
        """Return what the next frame brings.

        Raises:
            LineFault: none comes.
            WireError: it is altered, replayed, reordered, late or not of the protocol.
        """
        frame = Frame.of(receive_octets(self.stream.receive))
        return self._session.open(frame)


def open_line(node: Node, identity: Identity, around: Surroundings, *, known: bool) -> FramedLine:
    """Connect to a node and make a session with it.

    ``known`` says whether the server has our certificate already; an agent that enrols shows
    none.  The pin is compared before anything is sent.

    Raises:
        LineFault: nobody is there, or somebody else.
        WireError: what came is not of the protocol.
    """
    file = str(identity.file) if known else None
    line = dial(node.address, around.timeout, around.proxy)
    stream = TlsStream(line, client_context(file), server_name(node.pin))
    try:
        _shake_hands(stream, node, around.abilities)
        ours = identity.certificate if known else b""
        version = stream.version()
        session = (_session if version == 1 else _opened_session)(
            stream, node, identity, around, ours
        )
        return FramedLine(stream, session, version)
    except Exception:
        stream.abort()
        line.close()
        raise


def _shake_hands(stream: TlsStream, node: Node, able: Abilities) -> None:
    try:
        stream.handshake(partial(check_pin, node))
    except NotReached as error:
        if _NO_SUCH_KEY in str(error):
            raise NotReached(
                f"{error}: the node has not, or no longer, the keys by which this agent knows it;"
                " 'pikaserver agent rotate' makes a code with the present ones"
            ) from error
        missing = [kind for kind in ML_DSA_TLS if kind not in able.tls]
        if _NO_COMMON_KEY not in str(error) or not missing:
            raise
        raise NotReached(
            f"{error}; if the node's TLS key is one of ML-DSA: {explain_missing('ML-DSA')};"
            " a code of 'pikaserver agent enroll --classical' names its classical one"
        ) from error


def check_pin(node: Node, certificate: bytes) -> None:
    """Return when this is the certificate of the node.

    Raises:
        WrongServer: it carries another key.
    """
    try:
        found = pin_of(certificate)
    except WireError as error:
        raise WrongServer(f"{node.address}: {error}") from error
    if found != node.pin:
        raise WrongServer(
            f"{node.address} answers with key sha256:{found.hex()},"
            f" but sha256:{node.pin.hex()} is pinned: nothing was sent"
        )


def _session(
    stream: TlsStream, node: Node, identity: Identity, around: Surroundings, ours: bytes
) -> Session:
    """Exchange nonces, as version 1 does; it has no frame keys but those of Ed25519."""
    if pinned_kind(node.frame_key) != ED25519 or identity.kinds.frames != ED25519:
        raise WrongServer(
            f"{node.address} speaks version 1, which has no ML-DSA keys for frames: such a key is"
            " pinned for it, or this agent's own"
        )
    nonce = around.entropy(NONCE_OCTETS)
    theirs = _exchanged(stream, nonce, NONCE_OCTETS)
    if len(theirs) != NONCE_OCTETS:
        raise WireError(f"a nonce of {len(theirs)} octets")
    identifier = session_id(theirs, nonce, stream.peer_certificate(), ours)
    return Session(identifier, identity.sign, frame_verifier(node.frame_key), around.now_ms)


def _opened_session(
    stream: TlsStream, node: Node, identity: Identity, around: Surroundings, ours: bytes
) -> Session:
    """Exchange openings; what verifies the node's frames is the key that is pinned."""
    pin = frame_pin(node.frame_key)
    said = AgentOpening(around.entropy(NONCE_OCTETS), pin, around.abilities).octets()
    heard = _exchanged(stream, said, LARGEST_NODE_OPENING)
    opening = NodeOpening.of(heard)
    shown = opening.frame_key
    if not shown:
        raise WrongServer(f"{node.address} does not have the frame key that is pinned")
    if frame_pin(shown) != pin:
        raise WrongServer(f"{node.address} shows another frame key than the one that is pinned")
    theirs, verify = stream.peer_certificate(), frame_verifier(shown)
    try:
        verify(proved_octets(said, opening.nonce, theirs, ours), opening.proof)
    except WireError as error:
        raise WrongServer(f"{node.address} does not prove the frame key that is pinned") from error
    identifier = opened_session_id(said, heard, theirs, ours)
    return Session(identifier, identity.sign, verify, around.now_ms)


def _exchanged(stream: TlsStream, ours: bytes, largest: int) -> bytes:
    """Say the first words and return the node's."""
    try:
        stream.send(with_length(ours))
        return receive_octets(stream.receive, largest)
    except Lost as error:
        # The refusal of a key may be lost with the connection that it ends.
        raise NotKnownThere(
            f"{error}, before it said a word: it may not know this agent's TLS key"
        ) from error
