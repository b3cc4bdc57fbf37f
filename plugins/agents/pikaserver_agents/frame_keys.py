"""Whose frames these are: verifiers for keys that are known, and for one that is only brought."""

from contextlib import suppress
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.wire.encoding import decode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import ED25519, frame_kind
from hsm_agent.wire.frames import SIGNATURE_LABEL
from hsm_agent.wire.session import Verifier
from pikaserver_agents.peers import OLDEST

_MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


@lru_cache(maxsize=1024)
def frame_verifier(public: bytes) -> Verifier:
    """Return what verifies the frames of a key, by the algorithm of its kind and no other.

    Raises:
        WireError: it is no key.
    """
    kind = frame_kind(public)
    try:
        key = _loaded(public) if kind.header else Ed25519PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise WireError(f"a frame key that is no {kind.name} key") from error

    def verify(octets: bytes, signature: bytes) -> None:
        with suppress(InvalidSignature):
            return key.verify(signature, octets)
        raise WireError("a frame whose signature does not hold")

    return verify


def _loaded(public: bytes) -> _MlDsaPublicKey:
    key = load_der_public_key(public)
    if not isinstance(key, _MlDsaPublicKey):
        raise ValueError("no ML-DSA key")  # noqa: TRY004 - whatever is wrong is the octets' fault
    return key


def check_version(version: int, frame_key: bytes) -> None:
    """Agree that an agent's frame key is one of this version of the protocol.

    Raises:
        WireError: it is not.
    """
    if version == OLDEST and frame_kind(frame_key).name != ED25519:
        raise WireError("version 1 knows no frame keys but those of Ed25519")


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
