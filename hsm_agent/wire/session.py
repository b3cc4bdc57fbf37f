"""One line's memory: which session, which sequence number, whose clock.

A frame's payload is a map: ``sid`` (session, 32 octets), ``seq`` (1, 2, 3 ... in each direction),
``ts`` (the sender's time), ``exp`` (when the frame is of no use any more) and ``m``, one to
`MOST_MESSAGES` messages.  Many messages in one frame share one signature.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hsm_agent.wire.codec import from_map, to_map
from hsm_agent.wire.encoding import decode, encode_ordered
from hsm_agent.wire.errors import FrameLate, WireError
from hsm_agent.wire.frame_kinds import ED25519, FRAME_KINDS
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import Message

SESSION_LABEL = b"pikaserver-hsm-channel-v1"
ED25519_OCTETS = FRAME_KINDS[ED25519].written_octets
MOST_MESSAGES = 64
CLOCK_TOLERANCE = 30_000
"""Milliseconds that the clocks of both sides may differ."""
FRAME_LIFE = 60_000
"""Milliseconds after its time at which a frame expires unless its sender says less."""

Signer = Callable[[bytes], bytes]
Verifier = Callable[[bytes, bytes], None]
"""Takes signed octets and a signature; raises `WireError` where it does not hold."""
Now = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one frame brought."""

    sent: int
    """The sender's time, milliseconds."""
    messages: tuple[Message, ...]


def session_id(
    server_nonce: bytes, agent_nonce: bytes, server_certificate: bytes, agent_certificate: bytes
) -> bytes:
    """Return the identifier that binds frames to this TLS connection and to no other.

    Certificates are DER; an agent that is not enrolled yet has none: no octets.
    """
    hashes = [hashlib.sha256(one).digest() for one in (server_certificate, agent_certificate)]
    return hashlib.sha256(b"".join([SESSION_LABEL, server_nonce, agent_nonce, *hashes])).digest()


def relay_session_id(asking_frame_key: bytes, agent_frame_key: bytes) -> bytes:
    """Return the identifier of relayed frames: there is one such session for each pair of keys.

    Two Ed25519 keys stand there themselves, as in version 1; of other pairs the hashes do, so
    that each part has one length.
    """
    keys = (asking_frame_key, agent_frame_key)
    if all(len(key) == ED25519_OCTETS for key in keys):
        return hashlib.sha256(b"pikaserver-hsm-relay-v1" + b"".join(keys)).digest()
    hashes = [hashlib.sha256(key).digest() for key in keys]
    return hashlib.sha256(b"pikaserver-hsm-relay-v2" + b"".join(hashes)).digest()


def seal(
    session: bytes,
    sequence: int,
    sent: int,
    messages: Sequence[Message],
    sign: Signer,
    life: int = FRAME_LIFE,
) -> Frame:
    """Return a signed frame with these messages, of use for ``life`` milliseconds."""
    payload = encode_ordered(
        {
            "m": [to_map(message) for message in messages],
            "ts": sent,
            "exp": sent + life,
            "seq": sequence,
            "sid": session,
        }
    )
    return Frame(payload, sign(SIGNATURE_LABEL + payload))


def read(
    frame: Frame, session: bytes, now: int, tolerance: int = CLOCK_TOLERANCE
) -> tuple[int, Delivery]:
    """Read a frame whose signature was verified; return its sequence number and what it brought.

    ``tolerance`` is how many milliseconds away it may have been sealed.

    Raises:
        WireError: another session, a time too far away, expired, or no proper messages.
    """
    match decode(frame.payload):
        case {
            "sid": bytes() as sid,
            "seq": int() as sequence,
            "ts": int() as sent,
            "exp": int() as expires,
            "m": [*found],
            **others,
        } if not others and 0 < len(found) <= MOST_MESSAGES:
            pass
        case _:
            raise WireError("a payload with missing or unknown fields")
    if sid != session:
        raise WireError("a frame of another session")
    if abs(now - sent) > tolerance:
        raise FrameLate(f"clock: a frame that is {abs(now - sent)} ms away")
    if now > expires:
        raise FrameLate("a frame that has expired")
    return sequence, Delivery(sent, tuple(from_map(one) for one in found))


class Session:
    """Both directions of one connection; not for use by several threads at once."""

    def __init__(self, identifier: bytes, sign: Signer, verify: Verifier, now: Now) -> None:
        self._identifier = identifier
        self._sign = sign
        self._verify = verify
        self._now = now
        self._sent = 0
        self._received = 0

    def seal(self, messages: Sequence[Message]) -> Frame:
        """Return the next frame to send."""
        self._sent += 1
        return seal(self._identifier, self._sent, self._now(), messages, self._sign)

    def open(self, frame: Frame) -> Delivery:
        """Read the next frame that came; its signature is verified before it is looked into.

        Raises:
            WireError: altered, replayed, reordered, foreign, late, or not of the protocol.
        """
        self._verify(SIGNATURE_LABEL + frame.payload, frame.signature)
        sequence, delivery = read(frame, self._identifier, self._now())
        if sequence != self._received + 1:
            raise WireError(f"frame {sequence} where {self._received + 1} was to come")
        self._received = sequence
        return delivery
