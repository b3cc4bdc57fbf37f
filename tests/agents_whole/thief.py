"""Somebody who has a server's database, keys and code, and speaks to its agent as the node."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsm_agent import clock
from hsm_agent.identity.identity import Identity
from hsm_agent.service.service import Answer
from hsm_agent.wire.messages import (
    Approve,
    Context,
    Generate,
    JournalRead,
    PutCertificate,
    Relay,
    Relayed,
    Sign,
)
from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1 import crl as own_crls
from pikaserver_agents.office import office_of
from tests.hsm_agent.made_structures import Made
from tests.hsm_agent.wire_server import LONG, WireServer

DAY = timedelta(days=1)
_LIFE_MS = 60_000


def stolen_node(folder, identity, agents):
    """Return a node that listens where the real one did, with its keys."""
    file = folder / "stolen"
    keys = (identity.tls_key, _pem(identity.certificate), _pkcs8(identity.frame_key))
    file.write_bytes(b"".join(keys))
    seat = Identity(file, identity.certificate, identity.frame_key)
    host, _, port = identity.node.address.rpartition(":")
    node = WireServer(folder, number=identity.node.number, seat=(seat, (host, int(port))))
    for agent in agents:
        node.know(agent.certificate, agent.frame_key)
    return node


class Thief:
    """Takes all that the server has, and then asks its agent for whatever it likes."""

    def __init__(self, house, host, folder):
        self._host = host
        with house.opened() as server:
            office = office_of(server.for_plugins)
            identity, view = office.identity, office.directory.refresh()
            self.authorities = {
                name: server.authorities.key(name).certificate
                for name in server.authorities.names()
            }
        house.server.stop()
        agent = view.agents[host.name].identity
        self.agent_frame_key = agent.frame_key
        self.node = stolen_node(folder, identity, [agent])
        self.keys = {}
        self.hello = None
        self.line = None

    def connect(self, *, alive=True, dead=LONG):
        """Take the agent's next line, and behave like the node on it."""
        if self.line is not None:
            self.line.close()
        self.line = self.node.accept()
        self.hello = self.line.welcome(dead=dead)
        if alive:
            self.line.beat()
        self.keys = {key.name.partition("/")[2]: key for key in self.hello.keys}
        return self.line

    def ask(self, request):
        """Return the agent's answer to any request."""
        self.line.send(request)
        while True:
            answer = self.line.receive(Answer | Relayed)
            if answer.id == request.id:
                return answer

    def sign(self, label, tbs, algorithm="ecdsa-sha256", **others):
        """Return the answer to a request for a signature."""
        return self.ask(self.wish(label, tbs, algorithm, **others))

    def wish(self, label, tbs, algorithm="ecdsa-sha256", **others):
        """Return a request for a signature."""
        asked = Sign(
            id=clock.entropy(16),
            key=self.spki_hash(label),
            algorithm=algorithm,
            tbs=tbs,
            expires=clock.now_ms() + _LIFE_MS,
            context=Context("issuing", "certificate", "stolen", "cli:root"),
        )
        return replace(asked, **others)

    def generate(self, name, profile="issuing", key_type="ec-p256"):
        """Ask for a key."""
        expires = clock.now_ms() + _LIFE_MS
        return self.ask(Generate(clock.entropy(16), name, key_type, profile, expires, Context()))

    def put(self, label, *certificates):
        """Hand over certificates for a key."""
        expires = clock.now_ms() + _LIFE_MS
        return self.ask(
            PutCertificate(clock.entropy(16), self.spki_hash(label), certificates, expires)
        )

    def approve(self, approval, kind, proof):
        """Bring an approval."""
        expires = clock.now_ms() + _LIFE_MS
        return self.ask(Approve(clock.entropy(16), approval, kind, proof, expires))

    def relay(self, frame):
        """Bring a frame as if another node had asked for it."""
        return self.ask(Relay(clock.entropy(16), self.node.number, frame))

    def journal(self):
        """Return the whole journal as the agent tells it."""
        return self.ask(JournalRead(clock.entropy(16), 1, 100_000)).lines

    def spki_hash(self, label):
        """Return what names a key."""
        return hashlib.sha256(self.keys[label].public_key).digest()

    def leaf(self, authority, **changes):
        """Return a certificate to be made that the agent's policy allows, changed."""
        issuer = self.authorities[authority]
        now = present()
        fine = Made(
            issuer=issuer.subject,
            public_key=ec.generate_private_key(ec.SECP256R1()).public_key(),
            serial=x509.random_serial_number(),
            not_before=now - timedelta(minutes=5),
            not_after=now + 90 * DAY,
            key_identifier=x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),
        )
        return replace(fine, **changes)

    def crl(self, authority, number, serials, **changes):
        """Return the octets of a CRL."""
        issuer, now = self.authorities[authority], present()
        head = own_crls.CrlHead(
            issuer=issuer.subject.public_bytes(),
            algorithm="ecdsa-sha256",
            this_update=now,
            next_update=now + 5 * DAY,
            number=number,
            key_identifier=x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest,
        )
        reason = RevocationReason.SUPERSEDED
        entries = [own_crls.entry(serial, now - DAY, reason) for serial in sorted(serials)]
        pieces = own_crls.tbs_pieces(replace(head, **changes), own_crls.in_memory(entries))
        return b"".join(pieces)

    def close(self):
        """Leave."""
        self.node.close()


def present():
    """Return the present, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def _pem(der):
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _pkcs8(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
