"""Frames that came to an agent in a test by way of the database, or in a file."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hsm_agent.wire.bundles import (
    ANSWERS,
    REGISTRATION,
    REQUESTS,
    Bundle,
    read_from_bundle,
    registration_session_id,
    seal_for_bundle,
)
from hsm_agent.wire.codec import to_map
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import (
    Enroll,
    Inventory,
    Mark,
    Message,
    Node,
    Refused,
    Relay,
    Relayed,
)
from hsm_agent.wire.session import Delivery, Signer, read, relay_session_id, seal
from pikaserver.testing.fake_agent_desk import Request
from pikaserver.testing.fake_agent_line import FakeIdentity


class Open(Protocol):
    """Reads a frame of a session at a time."""

    def __call__(self, frame: Frame, session: bytes, now: int) -> tuple[int, Delivery]:
        """See ``hsm_agent.wire.session.read``."""
        ...


class Seal(Protocol):
    """Seals messages under a session and a number."""

    def __call__(
        self, session: bytes, sequence: int, sent: int, messages: Sequence[Message], sign: Signer
    ) -> Frame:
        """See ``hsm_agent.wire.session.seal``."""
        ...


@dataclass(frozen=True, slots=True)
class FakeRelay:
    """Answers such frames; ``seen`` are the numbers that came before, each counts once."""

    identity: FakeIdentity
    now_ms: Callable[[], int]
    seen: set[tuple[bytes, int]]
    answers: Callable[[Request], list[Message]]

    def relayed(self, relay: Relay, nodes: Sequence[Node], mark: Mark) -> list[Message]:
        """Answer the frame of a node that has no line, or refuse it to who brought it."""
        (node,) = (one for one in nodes if one.number == relay.node)
        try:
            answer = self._answered(node.frame_key, relay.frame, (read, seal))
        except (WireError, InvalidSignature) as error:
            digest = hashlib.sha256(encode(to_map(relay))).digest()
            why = str(error).encode()
            return [Refused(relay.id, digest, "malformed", why, False, 0, mark)]  # noqa: FBT003 - final
        return [Relayed(relay.id, answer)] if answer else []

    def answer_bundle(self, octets: bytes, name: str, inventory: Inventory) -> bytes:
        """Answer a whole bundle; the first answer brings the inventory."""
        told: list[Message] = [inventory]
        answers = []
        for asking, frame in Bundle.of(octets, REQUESTS).frames:
            how = (read_from_bundle, seal_for_bundle)
            answers.append((asking, self._answered(asking, frame, how, told)))
            told = []
        return Bundle(ANSWERS, name, tuple(answers)).octets()

    def registration(self, token: bytes, enroll: Enroll) -> bytes:
        """Return the file by which an agent without a line registers."""
        sign = self.identity.frame_key.sign
        session = registration_session_id(token)
        frame = seal_for_bundle(session, 1, self.now_ms(), [enroll], sign)
        return Bundle(REGISTRATION, enroll.agent, ((b"", frame.octets()),)).octets()

    def _answered(
        self, asking: bytes, octets: bytes, how: tuple[Open, Seal], told: Sequence[Message] = ()
    ) -> bytes:
        opened, sealed = how
        frame = Frame.of(octets)
        key = Ed25519PublicKey.from_public_bytes(asking)
        key.verify(frame.signature, SIGNATURE_LABEL + frame.payload)
        session = relay_session_id(asking, self.identity.frame_public)
        sequence, delivery = opened(frame, session, self.now_ms())
        if (asking, sequence) in self.seen:
            raise WireError(f"frame {sequence} came before")
        self.seen.add((asking, sequence))
        answers = [
            answer
            for message in delivery.messages
            if isinstance(message, Request)
            for answer in self.answers(message)
            if not isinstance(answer, Inventory)
        ]
        if not answers:
            return b""
        sign = self.identity.frame_key.sign
        return sealed(session, sequence, self.now_ms(), [*answers, *told], sign).octets()
