"""Whose frames these are: verifiers for keys that are known, and for one that is only brought."""

from contextlib import suppress

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hsm_agent.wire.encoding import decode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL
from hsm_agent.wire.session import Verifier


def frame_verifier(public: bytes) -> Verifier:
    """Return what verifies the frames of an Ed25519 key (32 octets).

    Raises:
        WireError: it is no such key.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise WireError("a frame key that is no Ed25519 key") from error

    def verify(octets: bytes, signature: bytes) -> None:
        with suppress(InvalidSignature):
            return key.verify(signature, octets)
        raise WireError("a frame whose signature does not hold")

    return verify


def newcomer_verifier(octets: bytes, signature: bytes) -> None:
    """Verify the frame of somebody who brings the key for it; see `Verifier`.

    Raises:
        WireError: it brings none, or did not sign with it.
    """
    match decode(octets.removeprefix(SIGNATURE_LABEL)):
        case {"m": [{"frame_key": bytes() as public}]}:
            frame_verifier(public)(octets, signature)
        case _:
            raise WireError("a frame of somebody who brings no key for it")
