"""The first steps of a line: TLS, the pin, both nonces, and the session that they make."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hsm_agent.channel.dialling import dial
from hsm_agent.channel.faults import Lost, NotKnownThere, WrongServer
from hsm_agent.channel.tls_stream import TlsStream, client_context
from hsm_agent.identity.identity import Identity, frame_verifier, pin_of
from hsm_agent.settings.settings import Proxy
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import (
    NONCE_OCTETS,
    Frame,
    receive_octets,
    with_length,
)
from hsm_agent.wire.messages import Message, Node
from hsm_agent.wire.session import Delivery, Session, session_id


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What dialling needs besides the node: clock in ms, randomness, timeout in seconds."""

    now_ms: Callable[[], int]
    entropy: Callable[[int], bytes]
    timeout: float = 5.0
    proxy: Proxy | None = None


class FramedLine:
    """A TLS connection that carries messages; any thread sends, one receives."""

    def __init__(self, stream: TlsStream, session: Session) -> None:
        self.stream = stream
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
    stream = TlsStream(line, client_context(file))
    try:
        stream.handshake(partial(check_pin, node))
        ours = identity.certificate if known else b""
        return FramedLine(stream, _session(stream, node, identity, around, ours))
    except Exception:
        stream.abort()
        line.close()
        raise


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
    nonce = around.entropy(NONCE_OCTETS)
    try:
        stream.send(with_length(nonce))
        theirs = receive_octets(stream.receive, NONCE_OCTETS)
    except Lost as error:
        # The refusal of a key may be lost with the connection that it ends.
        raise NotKnownThere(
            f"{error}, before it said a word: it may not know this agent's TLS key"
        ) from error
    if len(theirs) != NONCE_OCTETS:
        raise WireError(f"a nonce of {len(theirs)} octets")
    identifier = session_id(theirs, nonce, stream.peer_certificate(), ours)
    return Session(identifier, identity.sign, frame_verifier(node.frame_key), around.now_ms)
