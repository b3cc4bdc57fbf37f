"""Who this node is to agents: TLS keys with their certificates, and keys that sign frames.

A node is made with classical keys, which every agent can verify.  Where the settings want others,
the node gets a further *generation* of keys; agents that can verify them are told of it over
their lines, and come by it from then on.  The older ones go on until an operator retires them.
"""

import hashlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Node
from hsm_agent.wire.tls_abilities import explain_missing, load_pem
from pikaserver.api.errors import ConfigurationError, KeyUnavailable
from pikaserver.api.server import Server
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.node_seal import NodeSeal
from pikaserver_agents.private_keys import (
    FrameKey,
    new_frame_key,
    new_tls_key,
    private_pem,
    self_signed,
    tls_library_here,
    written,
)
from pikaserver_agents.storage import node_keys
from pikaserver_agents.storage.node_keys import FIRST, NodeKey

SERIAL_OCTETS = 16
_OLD_FRAME_KEY_OCTETS = 32
_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----\n.+?-----END [A-Z ]+-----\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """One generation of this node's keys, with the private ones."""

    node: Node
    certificate: bytes
    tls_key: bytes = field(repr=False)
    frame_key: FrameKey = field(repr=False)
    kinds: ChannelKinds
    generation: int

    def sign(self, octets: bytes) -> bytes:
        """Sign a frame, label included."""
        return self.frame_key.sign(octets)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a TLS context use the key, which touches no disk on the way."""
        load_pem(context, self.tls_key + ssl.DER_cert_to_PEM_cert(self.certificate).encode())


class NodeMaker:
    """Makes and opens the keys of one node; the first process that asks makes them."""

    def __init__(self, server: Server, seal: NodeSeal, wanted: ChannelKinds) -> None:
        self._server = server
        self._seal = seal
        self._wanted = wanted
        self._now = milliseconds(server.clock)

    def ensure(self, address: str) -> None:
        """Have the node made, with keys of the kinds that are wanted; the newest ones count.

        ``address`` is what is remembered for a node that is none yet.

        Raises:
            ConfigurationError: this host's TLS library has no such keys.
        """
        with self._server.database.reading() as connection:
            there = node_keys.has_node(connection, self._server.node)
        if not there:
            first = self._make(Node(self._server.node, address, b"", b""), FIRST, ChannelKinds())
            with self._server.database.transaction() as connection:
                node_keys.add_first(connection, first)
        keys = self._stored()
        if not keys or keys[-1].kinds != self._wanted:
            self.add_generation()

    def add_generation(self) -> int:
        """Give the node new keys of the kinds that are wanted; return their generation.

        Raises:
            ConfigurationError: this host's TLS library has no such keys.
        """
        if self._wanted.tls not in tls_library_here().kinds:
            raise ConfigurationError(f"plugins.agents.tls-key: {explain_missing(self._wanted.tls)}")
        with self._server.database.reading() as connection:
            highest, address = node_keys.highest(connection, self._server.node)
        node = Node(self._server.node, address, b"", b"")
        made = self._make(node, highest + 1, self._wanted)
        with self._server.database.transaction() as connection:
            # Another process of this node may have been faster: its keys are as good.
            if node_keys.add_later(connection, made):
                self._server.audit.record(
                    connection,
                    "agent.node-keys",
                    f"node:{node.number}",
                    generation=made.generation,
                    pin=made.node.pin.hex(),
                    tls=made.kinds.tls,
                    frames=made.kinds.frames,
                )
        return made.generation

    def open(self, keys: Sequence[NodeKey]) -> Sequence[NodeIdentity]:
        """Open this node's keys.

        Raises:
            KeyUnavailable: they were sealed by another server.
        """
        return [self._opened(key) for key in keys]

    def _stored(self) -> Sequence[NodeKey]:
        with self._server.database.reading() as connection:
            keys = node_keys.list_keys(connection)
        return [key for key in keys if key.node.number == self._server.node]

    def _make(self, node: Node, generation: int, kinds: ChannelKinds) -> NodeKey:
        key, frame_key = new_tls_key(kinds.tls), new_frame_key(kinds.frames)
        serial = int.from_bytes(b"\1" + self._server.entropy(SERIAL_OCTETS), "big")
        certificate = self_signed(
            key, f"pikaserver node {node.number}", self._server.clock(), serial
        ).public_bytes(Encoding.DER)
        pin = pin_of(certificate)
        return NodeKey(
            Node(node.number, node.address, pin, written(frame_key)),
            generation,
            kinds,
            certificate,
            self._seal.seal(pin, private_pem(key) + private_pem(frame_key)),
            self._now(),
        )

    def _opened(self, key: NodeKey) -> NodeIdentity:
        try:
            plain = self._plain(key)
        except KeyUnavailable as error:
            number, generation = key.node.number, key.generation
            raise KeyUnavailable(
                f"keys of node {number} (generation {generation}) for its agents: {error}; where"
                " other keys do open, 'pikaserver agent node rotate' makes new ones, and"
                f" 'pikaserver agent node retire {number} {generation}' gives these up"
            ) from error
        tls_key, frame_key = _BLOCK.findall(plain)
        loaded = load_pem_private_key(frame_key, None)
        if not isinstance(loaded, FrameKey):
            raise KeyUnavailable("the node's key for frames is of no known kind")
        return NodeIdentity(key.node, key.certificate, tls_key, loaded, key.kinds, key.generation)

    def _plain(self, key: NodeKey) -> bytes:
        if key.generation == FIRST and self._seal.is_everybodys(key.sealed):
            return self._resealed(key)
        return self._seal.open(key.node.pin, key.sealed)

    def _resealed(self, key: NodeKey) -> bytes:
        """Open what every plugin could open, and seal it so that only we can."""
        old = self._seal.open_everybodys(key.sealed)
        frame_key = Ed25519PrivateKey.from_private_bytes(old[:_OLD_FRAME_KEY_OCTETS])
        plain = old[_OLD_FRAME_KEY_OCTETS:] + private_pem(frame_key)
        sealed = self._seal.seal(key.node.pin, plain)
        with self._server.database.transaction() as connection:
            node_keys.reseal_first(connection, key.node.number, key.sealed, sealed)
        return plain


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
