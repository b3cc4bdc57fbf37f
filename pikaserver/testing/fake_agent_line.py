"""The agent's end of a line, for tests: TLS, nonces, frames; sound ones, and others."""

import hashlib
import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hsm_agent.wire.frames import NONCE_OCTETS, Frame, receive_octets, with_length
from hsm_agent.wire.messages import Message, Node
from hsm_agent.wire.session import Delivery, Session, session_id
from pikaserver.api.operations import Clock
from pikaserver.asn1.certificate import public_key_of

ALPN = "pki-hsm/1"
LIFE_YEARS = 30
NowMs = Callable[[], int]


class LineEnded(Exception):
    """The server closed the line, or said nothing for too long."""


@dataclass(frozen=True, slots=True)
class FakeIdentity:
    """Both keys of an agent; ``file`` is for the TLS library, ``certificate`` is DER."""

    file: Path
    certificate: bytes
    frame_key: Ed25519PrivateKey

    @classmethod
    def make(cls, name: str, clock: Clock) -> "FakeIdentity":
        """Make new keys."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = clock().replace(microsecond=0)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now.replace(year=now.year - 1, day=1))
            .not_valid_after(now.replace(year=now.year + LIFE_YEARS, day=1))
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with tempfile.NamedTemporaryFile(prefix="fake-agent-", suffix=".pem", delete=False) as file:
            file.write(private + certificate.public_bytes(Encoding.PEM))
        der = certificate.public_bytes(Encoding.DER)
        return cls(Path(file.name), der, Ed25519PrivateKey.generate())

    @property
    def pin(self) -> bytes:
        """The SHA-256 of the TLS key."""
        certificate = x509.load_der_x509_certificate(self.certificate)
        return hashlib.sha256(public_key_of(certificate)).digest()

    @property
    def frame_public(self) -> bytes:
        """The public half of the frame key."""
        return self.frame_key.public_key().public_bytes_raw()

    def remove(self) -> None:
        """Remove the file."""
        self.file.unlink(missing_ok=True)


class FakeLine:
    """A connection to a node: what it sends may be sound, or anything."""

    def __init__(
        self,
        node: Node,
        identity: FakeIdentity,
        now_ms: NowMs,
        *,
        known: bool = True,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        seconds: float = 10.0,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols([ALPN])
        if known:
            context.load_cert_chain(identity.file)
        host, _, port = node.address.rpartition(":")
        plain = socket.create_connection((host.strip("[]"), int(port)), seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seconds = seconds
        try:
            self._tls = context.wrap_socket(plain)
        except OSError:
            plain.close()
            raise
        # OpenSSL's object is for one thread at once, so nobody waits within it.
        self._tls.settimeout(0)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._node = node
        self._identity = identity
        self._known = known
        self._now_ms = now_ms
        self.session: Session | None = None
        self.identifier = b""

    def exchange_nonces(self, nonce: bytes) -> Session:
        """Make the session that both sides agree on."""
        self.send_octets(with_length(nonce))
        theirs = receive_octets(self.receive_octets, NONCE_OCTETS)
        server = self.server_certificate()
        ours = self._identity.certificate if self._known else b""
        identifier = session_id(theirs, nonce, server, ours)
        node_key = Ed25519PublicKey.from_public_bytes(self._node.frame_key)
        self.identifier = identifier
        self.session = Session(
            identifier,
            self._identity.frame_key.sign,
            lambda octets, signature: node_key.verify(signature, octets),
            self._now_ms,
        )
        return self.session

    def server_certificate(self) -> bytes:
        """Return what the server showed, in DER."""
        return self._tls.getpeercert(binary_form=True) or b""

    def was_resumed_or_can_be(self) -> bool:
        """Tell whether the handshake was a short one, or the next one could be."""
        ticket = self._tls.session is not None and self._tls.session.has_ticket
        return bool(self._tls.session_reused or ticket)

    def seal(self, *messages: Message) -> Frame:
        """Return the next sound frame without sending it."""
        if self.session is None:
            raise LineEnded("no session yet")
        return self.session.seal(messages)

    def send(self, *messages: Message) -> None:
        """Send messages as the next sound frame."""
        self.send_frame(self.seal(*messages))

    def send_frame(self, frame: Frame) -> None:
        """Send any frame."""
        self.send_octets(with_length(frame.octets()))

    def send_octets(self, octets: bytes) -> None:
        """Send any octets."""
        left = memoryview(octets)
        with self._sending:
            while left:
                try:
                    with self._lock:
                        left = left[self._tls.send(left) :]
                except ssl.SSLWantWriteError:
                    select.select([], [self._tls], [], self.seconds)
                except OSError as error:
                    raise LineEnded(str(error)) from error

    def receive(self) -> Delivery:
        """Return what the next frame brings.

        Raises:
            LineEnded: none comes.
        """
        if self.session is None:
            raise LineEnded("no session yet")
        return self.session.open(Frame.of(receive_octets(self.receive_octets)))

    def last_words(self) -> list[Message]:
        """Return everything that the server still says, when it has ended the line."""
        words: list[Message] = []
        with suppress(LineEnded):
            while True:
                words += self.receive().messages
        return words

    def receive_octets(self, octets: int) -> bytes:
        """Return exactly so many octets."""
        received = bytearray()
        while len(received) < octets:
            try:
                with self._lock:
                    some = self._tls.recv(octets - len(received))
            except ssl.SSLWantReadError:
                if not select.select([self._tls], [], [], self.seconds)[0]:
                    raise LineEnded("nothing came") from None
                continue
            except (OSError, ValueError) as error:
                raise LineEnded(str(error)) from error
            if not some:
                raise LineEnded("closed by the server")
            received += some
        return bytes(received)

    def close(self) -> None:
        """Let the connection go; who waits for it in another thread wakes."""
        with suppress(OSError):
            self._tls.shutdown(socket.SHUT_RDWR)
        self._tls.close()
