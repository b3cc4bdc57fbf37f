"""Who the agent is to the server: a TLS key with its certificate, and a key that signs frames."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hsm_agent.faults import Conflict, SettingsFault
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.wire.errors import WireError

LIFE = timedelta(days=30 * 365)
"""Long, for what counts is the pin: the certificate only carries the key."""
SERIAL_OCTETS = 16
_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----\n.+?-----END [A-Z ]+-----\n", re.DOTALL)
_PRESENT = "keys.pem"
_NEXT = "next.pem"


@dataclass(frozen=True, slots=True)
class Identity:
    """Both keys; ``file`` holds them for the TLS library, ``certificate`` is DER."""

    file: Path
    certificate: bytes
    frame_key: Ed25519PrivateKey

    @property
    def pin(self) -> bytes:
        """The SHA-256 of the TLS key, by which the server knows this agent."""
        return pin_of(self.certificate)

    @property
    def frame_public(self) -> bytes:
        """The public half of the frame key, 32 octets."""
        return self.frame_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, octets: bytes) -> bytes:
        """Sign a frame, label included."""
        return self.frame_key.sign(octets)


def make_identity(
    folder: Path, name: str, now: datetime, entropy: Callable[[int], bytes]
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
    return _make(folder / _PRESENT, name, now, entropy)


def make_next_identity(
    folder: Path, name: str, now: datetime, entropy: Callable[[int], bytes]
) -> Identity:
    """Make both keys that are to follow the present ones; they wait beside them."""
    return _make(folder / _NEXT, name, now, entropy)


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


def frame_verifier(public: bytes) -> Callable[[bytes, bytes], None]:
    """Return what verifies the frames of an Ed25519 key (32 octets).

    Raises:
        WireError: it is no such key.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise WireError("a frame key that is no Ed25519 key") from error

    def verify(octets: bytes, signature: bytes) -> None:
        try:
            key.verify(signature, octets)
        except InvalidSignature:
            raise WireError("a frame whose signature does not hold") from None

    return verify


def _make(file: Path, name: str, now: datetime, entropy: Callable[[int], bytes]) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, name, now, int.from_bytes(b"\1" + entropy(SERIAL_OCTETS)))
    frame_key = Ed25519PrivateKey.generate()
    private = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The TLS library takes the first private key of the file.
    blocks = [
        key.private_bytes(*private),
        certificate.public_bytes(Encoding.PEM),
        frame_key.private_bytes(*private),
    ]
    make_private_folder(file.parent)
    write_private(file, b"".join(blocks))
    return Identity(file, certificate.public_bytes(Encoding.DER), frame_key)


def _self_signed(
    key: ec.EllipticCurvePrivateKey, name: str, now: datetime, serial: int
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = key.public_key()
    usage = [ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder(subject, subject, public, serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _load(file: Path) -> Identity:
    blocks = _BLOCK.findall(read_private(file))
    try:
        _, certificate, frame = blocks
        der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
        frame_key = load_pem_private_key(frame, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsFault(f"{file} is not what an enrolment wrote: {error}") from error
    if not isinstance(frame_key, Ed25519PrivateKey):
        raise SettingsFault(f"{file} holds no Ed25519 key for frames")
    return Identity(file, der, frame_key)
