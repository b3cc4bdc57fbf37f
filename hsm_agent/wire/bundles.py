"""Bundles: frames in a file, carried by hand to an agent that has no line, and back.

A file is a line that names the format, then CBOR: kind, agent, and pairs of the asking node's
frame key and a frame.  Frames are those of a relay, under `relay_session_id` of both keys and with
numbers from the same counter, but live as long as a journey may take.  An answering frame has
the number of the one that it answers, and the first of a bundle may bring the `Inventory` too.

``registration`` holds one frame: `Enroll`, signed with the key that it brings, number 1, under
`registration_session_id` of the code's token; the asking key of its pair is empty.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Message
from hsm_agent.wire.session import Delivery, Signer, read, seal

MAGIC = b"pikaserver-hsm-bundle-v1\n"
REQUESTS, ANSWERS, REGISTRATION = "requests", "answers", "registration"
BUNDLE_LIFE = 30 * 24 * 3600 * 1000
"""Milliseconds after which a frame of a bundle is of no use any more."""
LARGEST_BUNDLE = 64 * 1024 * 1024
"""In octets."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one file holds; ``frames`` are pairs of the asking node's frame key and a frame."""

    kind: str
    agent: str
    frames: tuple[tuple[bytes, bytes], ...]

    def octets(self) -> bytes:
        """Return the file."""
        return MAGIC + encode([self.kind, self.agent, [list(one) for one in self.frames]])

    @classmethod
    def of(cls, octets: bytes, kind: str) -> "Bundle":
        """Read a file of this kind.

        Raises:
            WireError: it is none, or of another kind.
        """
        if not octets.startswith(MAGIC):
            raise WireError("this file is no bundle for a signing agent")
        if len(octets) > LARGEST_BUNDLE:
            raise WireError(f"a bundle of {len(octets)} octets, of at most {LARGEST_BUNDLE}")
        match decode(octets.removeprefix(MAGIC)):
            case [str() as found, str() as agent, [*pairs]] if found == kind:
                return cls(kind, agent, tuple(map(_pair, pairs)))
            case [str() as found, *_]:
                raise WireError(f"this bundle holds {found}, not {kind}")
            case _:
                raise WireError("a bundle of another version")


def _pair(value: object) -> tuple[bytes, bytes]:
    match value:
        case [bytes() as key, bytes() as frame]:
            return key, frame
        case _:
            raise WireError("a bundle has pairs of a key and a frame")


def registration_session_id(token: bytes) -> bytes:
    """Return the session of the one frame by which an agent without a line registers."""
    return hashlib.sha256(b"pikaserver-hsm-registration-v1" + token).digest()


def seal_for_bundle(
    session: bytes, sequence: int, sent: int, messages: Sequence[Message], sign: Signer
) -> Frame:
    """Return a signed frame that lives as long as a journey may take."""
    return seal(session, sequence, sent, messages, sign, BUNDLE_LIFE)


def read_from_bundle(frame: Frame, session: bytes, now: int) -> tuple[int, Delivery]:
    """Read a frame of a bundle whose signature was verified; see `hsm_agent.wire.session.read`.

    Raises:
        WireError: another session, older than a journey takes, or no proper messages.
    """
    return read(frame, session, now, BUNDLE_LIFE)
