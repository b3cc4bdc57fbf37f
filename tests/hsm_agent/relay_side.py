"""A service behind relayed frames: node 1 has a line, node 2 asks through it."""

from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_agent import clock as system
from hsm_agent.identity.identity import load_identity, make_identity
from hsm_agent.service.relaying import Relaying
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import JournalRead, Node, Relay
from hsm_agent.wire.session import read, relay_session_id, seal
from tests.hsm_agent.authenticators import raw_public
from tests.hsm_agent.service_side import LINE, ServiceSide

ASKING = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)


class RelaySide(ServiceSide):
    """See `ServiceSide`."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        identity = folder / "identity"
        if identity.exists():
            self.identity = load_identity(identity)
        else:
            self.identity = make_identity(identity, "vault-a", system.now(), system.entropy)
        self.frame_key = ASKING
        self.frame_public = raw_public(ASKING)
        self.session = relay_session_id(self.frame_public, self.identity.frame_public)
        self.nodes = [
            Node(1, "one:1", bytes(32), raw_public(OTHER)),
            Node(2, "two:2", bytes(32), self.frame_public),
        ]
        self.relaying = Relaying(
            self.identity,
            lambda: self.nodes,
            self.service.answer,
            self.journal,
            self.memory,
            self.clock,
        )
        self._sequence = 0

    def frame(self, requests=(), number=None, make=seal):
        """Return a frame of node 2."""
        self._sequence += 1
        asked = list(requests) or [JournalRead(bytes(16), 1, 1)]
        number = number or self._sequence
        return make(self.session, number, self.clock(), asked, ASKING.sign).octets()

    def relay(self, frame, node=2, line=LINE):
        """Let node 1's line bring a frame."""
        return self.relaying.answer(Relay(b"\7" * 16, node, frame), line)

    def opened(self, octets, **options):
        """Read an answering frame; return its number and its messages."""
        frame = Frame.of(octets)
        public = self.identity.frame_key.public_key()
        public.verify(frame.signature, SIGNATURE_LABEL + frame.payload)
        sequence, delivery = read(frame, self.session, self.clock(), **options)
        return sequence, list(delivery.messages)


@contextmanager
def relay_side(folder, **options):
    side = RelaySide(folder, **options)
    try:
        yield side
    finally:
        side.close()
