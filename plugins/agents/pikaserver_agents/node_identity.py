"""Who this node is to agents: a TLS key with its certificate, and a key that signs frames."""

import hashlib
import os
import ssl
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Node
from pikaserver.api.operations import Secrets
from pikaserver.api.server import Server
from pikaserver_agents.storage import nodes
from pikaserver_agents.storage.nodes import NodeRow

LIFE = timedelta(days=30 * 365)
"""Long, for what counts is the pin: the certificate only carries the key."""
PURPOSE = "agents.node"
SERIAL_OCTETS = 16
_FRAME_KEY_OCTETS = 32
_ENTIRE = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """This node, with its private keys."""

    node: Node
    certificate: bytes
    tls_key: bytes
    frame_key: Ed25519PrivateKey

    def sign(self, octets: bytes) -> bytes:
        """Sign a frame, label included."""
        return self.frame_key.sign(octets)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a TLS context use the key, which touches no disk on the way."""
        pem = ssl.DER_cert_to_PEM_cert(self.certificate).encode()
        with closing(FileIO(os.memfd_create("identity", os.MFD_CLOEXEC), "r+")) as file:
            file.write(self.tls_key + pem)
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def load_identity(server: Server, address: str) -> NodeIdentity:
    """Return the identity of this node; the first process that asks makes it.

    ``address`` is what is remembered for a node that has none yet.
    """
    row = _stored(server)
    if row is None:
        made = _make(server, address)
        with server.database.transaction() as connection:
            nodes.add_node(connection, made)
        row = _stored(server) or made
    return _opened(server.secrets, row)


def pin_of(certificate: bytes) -> bytes:
    """Return the SHA-256 of the SubjectPublicKeyInfo of a certificate in DER.

    Raises:
        WireError: it is no certificate, or its key is of no known kind.
    """
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except Exception as error:  # the library has a dozen reasons
        raise WireError("a certificate that cannot be read") from error
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def _stored(server: Server) -> NodeRow | None:
    with server.database.reading() as connection:
        rows = nodes.list_nodes(connection)
    return next((row for row in rows if row.node.number == server.node), None)


def _opened(secrets: Secrets, row: NodeRow) -> NodeIdentity:
    plain = secrets.open(PURPOSE, row.sealed)
    frame_key = Ed25519PrivateKey.from_private_bytes(plain[:_FRAME_KEY_OCTETS])
    return NodeIdentity(row.node, row.certificate, plain[_FRAME_KEY_OCTETS:], frame_key)


def _make(server: Server, address: str) -> NodeRow:
    key, frame_key = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
    serial = int.from_bytes(b"\1" + server.entropy(SERIAL_OCTETS), "big")
    certificate = self_signed(key, f"pikaserver node {server.node}", server.clock(), serial)
    node = Node(
        server.node, address, pin_of(certificate), frame_key.public_key().public_bytes_raw()
    )
    sealed = server.secrets.seal(
        PURPOSE, frame_key.private_bytes_raw() + key.private_bytes(*_ENTIRE)
    )
    return NodeRow(node, certificate, sealed)


def self_signed(key: ec.EllipticCurvePrivateKey, name: str, now: datetime, serial: int) -> bytes:
    """Return a certificate (DER) that carries a key of the channel for thirty years."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = key.public_key()
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder(subject, subject, public, serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.DER)
