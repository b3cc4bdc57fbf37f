"""What both sides say before the first frame: nonces, and from version 2 on the frame keys.

In version 1 each side sends a nonce.  In version 2 the agent says by which frame key it knows the
node, and which kinds of keys it can verify; the node answers with that key, and proves that it
has it.  The session is made of both openings as they were sent, so nobody between can have
changed a word of them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from hsm_agent.wire.channel_kinds import Abilities
from hsm_agent.wire.encoding import Value, decode, encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import is_frame_pin
from hsm_agent.wire.frames import NONCE_OCTETS

ALPN = {2: "pki-hsm/2", 1: "pki-hsm/1"}
"""What TLS calls each version; the one that comes first is chosen where both sides have it."""
SESSION_LABEL = b"pikaserver-hsm-channel-v2"
PROOF_LABEL = b"pikaserver-hsm-opening-v2\0"
LARGEST_AGENT_OPENING = 1024
LARGEST_NODE_OPENING = 8192
"""In octets."""
MOST_KINDS = 16
NAME_DIGITS = 32
"""So many hexadecimal digits of a pin tell a node's keys apart; all of it is compared after."""


def server_name(pin: bytes) -> str:
    """Return what an agent asks for in TLS (RFC 6066 section 3): the node's key of this pin.

    A node may have more than one while its agents learn the newest.
    """
    return f"{pin.hex()[:NAME_DIGITS]}.pin"


@dataclass(frozen=True, slots=True)
class AgentOpening:
    """``node`` is the pin of the frame key by which the agent knows the node."""

    nonce: bytes
    node: bytes
    abilities: Abilities

    def octets(self) -> bytes:
        """Return it as it travels."""
        return encode(
            {
                "nonce": self.nonce,
                "node": self.node,
                "tls": list(self.abilities.tls),
                "frames": list(self.abilities.frames),
            }
        )

    @classmethod
    def of(cls, octets: bytes) -> "AgentOpening":
        """Read what `octets` wrote.

        Raises:
            WireError: it is something else.
        """
        match decode(octets):
            case {
                "nonce": bytes() as nonce,
                "node": bytes() as node,
                "tls": [*tls],
                "frames": [*frames],
                **others,
            } if not others and len(nonce) == NONCE_OCTETS and is_frame_pin(node):
                return cls(nonce, node, Abilities(_kinds(tls), _kinds(frames)))
            case _:
                raise WireError("an agent's opening with missing, unknown or wrong fields")


@dataclass(frozen=True, slots=True)
class NodeOpening:
    """``frame_key`` is the node's key that was named; nothing where it has no such key.

    ``proof`` is its signature over `proved_octets`: an agent that enrols says its secret after it.
    """

    nonce: bytes
    frame_key: bytes
    proof: bytes

    def octets(self) -> bytes:
        """Return it as it travels."""
        return encode({"nonce": self.nonce, "frame_key": self.frame_key, "proof": self.proof})

    @classmethod
    def of(cls, octets: bytes) -> "NodeOpening":
        """Read what `octets` wrote.

        Raises:
            WireError: it is something else.
        """
        match decode(octets):
            case {
                "nonce": bytes() as nonce,
                "frame_key": bytes() as frame_key,
                "proof": bytes() as proof,
                **others,
            } if not others and len(nonce) == NONCE_OCTETS:
                return cls(nonce, frame_key, proof)
            case _:
                raise WireError("a node's opening with missing, unknown or wrong fields")


def proved_octets(
    agent_opening: bytes, nonce: bytes, server_certificate: bytes, agent_certificate: bytes
) -> bytes:
    """Return what a node signs to prove its frame key on this line: no frame begins so."""
    said = (agent_opening, nonce, server_certificate, agent_certificate)
    return PROOF_LABEL + b"".join(hashlib.sha256(one).digest() for one in said)


def opened_session_id(
    agent_opening: bytes, node_opening: bytes, server_certificate: bytes, agent_certificate: bytes
) -> bytes:
    """Return the session of version 2; see `hsm_agent.wire.session.session_id`."""
    said = (agent_opening, node_opening, server_certificate, agent_certificate)
    hashes = [hashlib.sha256(one).digest() for one in said]
    return hashlib.sha256(b"".join([SESSION_LABEL, *hashes])).digest()


def _kinds(found: Iterable[Value]) -> tuple[str, ...]:
    kinds = tuple(one for one in found if isinstance(one, str))
    if not 0 < len(kinds) <= MOST_KINDS or len(kinds) != len(list(found)):
        raise WireError("an opening with kinds of keys that are none")
    return kinds
