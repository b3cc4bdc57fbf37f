"""Who the agent is to the server: a TLS key with its certificate, and a key that signs frames."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from hsm_agent.faults import Conflict, SettingsFault
from hsm_agent.identity.channel_keys import (
    FrameKey,
    load_written,
    new_frame_key,
    new_serial,
    new_tls_key,
    private_pem,
    self_signed,
    tls_kind,
    written,
)
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import frame_kind

_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----\n.+?-----END [A-Z ]+-----\n", re.DOTALL)
CLASSICAL = ChannelKinds()
_PRESENT = "keys.pem"
_NEXT = "next.pem"


@dataclass(frozen=True, slots=True)
class Identity:
    """Both keys; ``file`` holds them for the TLS library, ``certificate`` is DER."""

    file: Path
    certificate: bytes
    frame_key: FrameKey

    @property
    def pin(self) -> bytes:
        """The SHA-256 of the TLS key, by which the server knows this agent."""
        return pin_of(self.certificate)

    @property
    def frame_public(self) -> bytes:
        """The public half of the frame key, see `hsm_agent.wire.frame_kinds`."""
        return written(self.frame_key)

    @property
    def kinds(self) -> ChannelKinds:
        """The kinds of both keys."""
        return ChannelKinds(tls_kind(self.certificate), frame_kind(self.frame_public).name)

    def sign(self, octets: bytes) -> bytes:
        """Sign a frame, label included."""
        return self.frame_key.sign(octets)


def make_identity(
    folder: Path,
    name: str,
    now: datetime,
    entropy: Callable[[int], bytes],
    kinds: ChannelKinds = CLASSICAL,
) -> Identity:
    """Make both keys of a new agent.

    Raises:
        Conflict: there are some already; whoever has them is an agent that is registered.
    """
    if (folder / _PRESENT).exists():
        raise Conflict(
            f"{folder / _PRESENT} is there: this agent is enrolled;"
            " new keys come by 'hsm-agent rotate', another agent needs another --data"
        )
    return _make(folder / _PRESENT, name, now, entropy, kinds)


def make_next_identity(
    folder: Path,
    name: str,
    now: datetime,
    entropy: Callable[[int], bytes],
    kinds: ChannelKinds = CLASSICAL,
) -> Identity:
    """Make both keys that are to follow the present ones; they wait beside them."""
    return _make(folder / _NEXT, name, now, entropy, kinds)


def load_identity(folder: Path) -> Identity:
    """Return the present keys.

    Raises:
        SettingsFault: there are none, or they cannot be read.
    """
    if not (folder / _PRESENT).exists():
        raise SettingsFault(
            f"{folder / _PRESENT} is not there: enrol this agent, with 'hsm-agent enroll CODE'"
        )
    return _load(folder / _PRESENT)


def load_next_identity(folder: Path) -> Identity | None:
    """Return the keys that a rotation made and that the server may know already, if any."""
    return _load(folder / _NEXT) if (folder / _NEXT).exists() else None


def promote(folder: Path) -> Identity:
    """Let the next keys take the place of the present ones, which are gone then."""
    write_private(folder / _PRESENT, read_private(folder / _NEXT))
    (folder / _NEXT).unlink()
    return load_identity(folder)


def pin_of(certificate: bytes) -> bytes:
    """Return the SHA-256 of the SubjectPublicKeyInfo of a certificate in DER.

    Raises:
        WireError: it is no certificate, or its key is of no known kind.
    """
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except Exception as error:  # the library has a dozen reasons
        raise WireError("the other side's certificate cannot be read") from error
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


@lru_cache(maxsize=128)
def frame_verifier(public: bytes) -> Callable[[bytes, bytes], None]:
    """Return what verifies the frames of a key, by the algorithm of its kind and no other.

    Raises:
        WireError: it is no key.
    """
    kind = frame_kind(public)
    try:
        key = load_written(public)
    except ValueError as error:
        raise WireError(f"a frame key that is no {kind.name} key") from error

    def verify(octets: bytes, signature: bytes) -> None:
        try:
            key.verify(signature, octets)
        except InvalidSignature:
            raise WireError("a frame whose signature does not hold") from None

    return verify


def _make(
    file: Path, name: str, now: datetime, entropy: Callable[[int], bytes], kinds: ChannelKinds
) -> Identity:
    key, frame_key = new_tls_key(kinds.tls), new_frame_key(kinds.frames)
    certificate = self_signed(key, name, now, new_serial(entropy))
    # The TLS library takes the first private key of the file.
    blocks = [private_pem(key), certificate.public_bytes(Encoding.PEM), private_pem(frame_key)]
    make_private_folder(file.parent)
    write_private(file, b"".join(blocks))
    return Identity(file, certificate.public_bytes(Encoding.DER), frame_key)


def _load(file: Path) -> Identity:
    blocks = _BLOCK.findall(read_private(file))
    try:
        _, certificate, frame = blocks
        der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
        frame_key = load_pem_private_key(frame, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsFault(f"{file} is not what an enrolment wrote: {error}") from error
    if not isinstance(frame_key, FrameKey):
        raise SettingsFault(f"{file} holds no key for frames")
    return Identity(file, der, frame_key)
