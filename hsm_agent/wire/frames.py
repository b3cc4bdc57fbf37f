"""Frames: a length, then a payload with the signature over it."""

from collections.abc import Callable
from dataclasses import dataclass

from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import LARGEST_SIGNATURE

LARGEST_FRAME = 16 * 1024 * 1024
"""In octets; holds a CRL of some 330,000 entries.  Larger ones are sharded."""
LENGTH_OCTETS = 4
SIGNATURE_LABEL = b"pikaserver-hsm-frame-v1\0"
NONCE_OCTETS = 32

Receive = Callable[[int], bytes]
"""Returns exactly so many octets, or raises what ends the connection."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The signed octets and their signature; neither has been looked into yet."""

    payload: bytes
    signature: bytes

    def octets(self) -> bytes:
        """Return the frame without its length, as a relay stores it."""
        return encode([self.payload, self.signature])

    @classmethod
    def of(cls, octets: bytes) -> "Frame":
        """Read what `octets` wrote.

        Raises:
            WireError: these are not two byte strings, or the second is longer than any signature.
        """
        match decode(octets):
            case [bytes() as payload, bytes() as signature] if len(signature) <= LARGEST_SIGNATURE:
                return cls(payload, signature)
            case _:
                raise WireError("a frame is a payload and a signature")


def with_length(octets: bytes) -> bytes:
    """Return octets as they go on the line.

    Raises:
        WireError: they are more than `LARGEST_FRAME`.
    """
    if len(octets) > LARGEST_FRAME:
        raise WireError(f"a frame of {len(octets)} octets, of at most {LARGEST_FRAME}")
    return len(octets).to_bytes(LENGTH_OCTETS, "big") + octets


def receive_octets(receive: Receive, largest: int = LARGEST_FRAME) -> bytes:
    """Receive what `with_length` wrote.

    Raises:
        WireError: it is announced as longer than ``largest``, or as empty.
    """
    length = int.from_bytes(receive(LENGTH_OCTETS), "big")
    if not 0 < length <= largest:
        raise WireError(f"a frame of {length} octets, of at most {largest}")
    return receive(length)
