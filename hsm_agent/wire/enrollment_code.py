"""The code that an operator carries from the server to a new agent, once."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import ED25519, frame_pin, is_frame_pin, pinned_kind

PREFIX = "pika-agent-1."
PREFIX_2 = "pika-agent-2."
"""Of a code that names a node whose frame key is none of Ed25519: older agents cannot read it."""
TOKEN_OCTETS = 16
PIN_OCTETS = 32


@dataclass(frozen=True, slots=True)
class EnrollmentCode:
    """Where to dial, whom to expect there, and the one-time token.

    ``addresses`` are ``host:port`` of the nodes; ``pins`` are the SHA-256 of each one's TLS key
    (SubjectPublicKeyInfo), in the same order; ``frame_keys`` are the pins of their frame keys, see
    `hsm_agent.wire.frame_kinds`.
    """

    agent: str
    token: bytes
    addresses: tuple[str, ...]
    pins: tuple[bytes, ...]
    frame_keys: tuple[bytes, ...]

    def text(self) -> str:
        """Return the code as one word without anything that a shell or a QR reader minds."""
        octets = encode(
            [
                self.agent,
                self.token,
                [list(one) for one in zip(self.addresses, self.pins, self.frame_keys, strict=True)],
            ]
        )
        classical = all(pinned_kind(one) == ED25519 for one in self.frame_keys)
        prefix = PREFIX if classical else PREFIX_2
        return prefix + base64.urlsafe_b64encode(octets + _checksum(octets)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "EnrollmentCode":
        """Read a code.

        Raises:
            WireError: it was cut, altered, or is none.
        """
        if not text.startswith((PREFIX, PREFIX_2)):
            raise WireError(f"an enrolment code begins with {PREFIX!r} or {PREFIX_2!r}")
        try:
            body = text[len(PREFIX) :].strip()
            octets = base64.b64decode(body + "=" * (-len(body) % 4), "-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise WireError("the enrolment code has characters that do not belong there") from error
        content, checksum = octets[:-4], octets[-4:]
        if _checksum(content) != checksum:
            raise WireError("the enrolment code was cut or altered: copy it again as a whole")
        match decode(content):
            case [str() as agent, bytes() as token, [*nodes]] if len(token) == TOKEN_OCTETS:
                return _of_version(cls(agent, token, *_columns(nodes)), text)
            case _:
                raise WireError("the enrolment code is of another version")


def _columns(
    nodes: Sequence[object],
) -> tuple[tuple[str, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    addresses, pins, frame_keys = [], [], []
    for node in nodes:
        match node:
            case [str() as address, bytes() as pin, bytes() as frame_key] if len(
                pin
            ) == PIN_OCTETS and _is_pin(frame_key):
                addresses.append(address)
                pins.append(pin)
                frame_keys.append(frame_key)
            case _:
                raise WireError("the enrolment code names no proper node")
    if not addresses:
        raise WireError("the enrolment code names no node")
    return tuple(addresses), tuple(pins), tuple(frame_keys)


def _of_version(code: EnrollmentCode, text: str) -> EnrollmentCode:
    """Return a code that is written in the version that it needs, no newer one, and in one way.

    Raises:
        WireError: it is not.
    """
    written = code.text()
    if written[: len(PREFIX)] != text[: len(PREFIX)]:
        raise WireError("the enrolment code is of another version than it says")
    # The last character may have bits that stand for nothing, which base64 passes over.
    if written != text.strip():
        raise WireError("the enrolment code was cut or altered: copy it again as a whole")
    return code


def _is_pin(frame_key: bytes) -> bool:
    return is_frame_pin(frame_key) and frame_pin(frame_key) == frame_key


def _checksum(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()[:4]


def comparison_words(*public: bytes) -> str:
    """Return six groups of four digits that both sides show, for a person to compare.

    They stand for 79 bits of the SHA-256 over both sides' public keys.
    """
    number = int.from_bytes(hashlib.sha256(b"\0".join(public)).digest(), "big")
    groups = [str(number // 10_000**i % 10_000).zfill(4) for i in range(6)]
    return " ".join(groups)
