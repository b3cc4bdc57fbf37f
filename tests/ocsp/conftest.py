"""The OCSP plugin before a server in memory."""

from dataclasses import dataclass

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.services import ServiceUse
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.ocsp import ResponseStatus, issuer_octets, make_cert_id
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver_ocsp.assembly import Ocsp, assemble
from pikaserver_ocsp.plugin import of
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_ocsp.storage import metadata


@dataclass(frozen=True)
class OddKey:
    """A responder's key that does what a test wants."""

    certificate: bytes
    chain: tuple
    algorithm: str
    key: object
    signing: object

    def sign(self, tbs, content=b""):
        """See ``pikaserver.api.services.ServiceKey``."""
        return self.signing(self.key, tbs)


@dataclass
class House:
    """A server in memory, its responder, and what a client does."""

    server: FakeServer
    ocsp: Ocsp

    def start_anew(self):
        """Begin with an empty memory, as after a restart or on another node."""
        self.ocsp.store.flush()
        self.ocsp = assemble(self.server)

    def signatures(self):
        """Return how many answers were signed since."""
        return sum(sample.value for sample in self.ocsp.counts.signatures())

    def issue(self, name="plc-21", authority="issuing"):
        """Return a certificate of ours."""
        self.server.templates.add(make_template("of-" + authority, authority=authority))
        key = throw_away_key(self.server.entropy)
        return self.server.issue(read_csr(throw_away_request(key, name)), f"of-{authority}")

    def revoke(self, record, reason=RevocationReason.KEY_COMPROMISE, invalidity_at=None):
        """Revoke or hold a certificate."""
        revocation = Revocation(self.server.clock(), reason, invalidity_at)
        return self.server.revoke(record, revocation, "test")

    def issuer(self, authority="issuing", generation=None):
        """Return the certificate of an authority."""
        found = self.server.authorities.get(authority).generations
        wanted = [one for one in found if generation in (None, one.number)]
        return x509.load_der_x509_certificate(wanted[0].certificate)

    def cert_id(self, record, form=0):
        """Return the CertID of a certificate."""
        issuer = self.issuer(record.authority, record.generation)
        octets = issuer_octets(form, subject_of(issuer), public_key_of(issuer))
        return make_cert_id(octets, record.serial)

    def stranger(self, authority="issuing", serial=0x5EC4E7):
        """Return the CertID of a certificate that was never issued."""
        issuer = self.issuer(authority)
        return make_cert_id(issuer_octets(0, subject_of(issuer), public_key_of(issuer)), serial)

    def ask(self, *cert_ids, nonce=None, extensions=(), authority=None):
        """Return what is answered to CertIDs; the signature was verified."""
        octets = write_request(cert_ids, nonce, extensions)
        return self.read(self.ocsp.responder.answer(octets, authority, "192.0.2.9").octets)

    def one(self, cert_id, **wishes):
        """Return the one answer to one CertID."""
        (single,) = self.ask(cert_id, **wishes).answers
        return single

    def status(self, record):
        """Return what is said of one certificate."""
        return self.one(self.cert_id(record)).status

    def sign_by(self, signing, authority="issuing", *, algorithm=None, unit=""):
        """Let a responder sign otherwise; ``signing`` takes the key and the octets."""
        use = ServiceUse("ocsp", "OCSP", authority, 1, unit)
        key = self.server.services.get(use)
        odd = OddKey(key.certificate, key.chain, algorithm or key.algorithm, key, signing)
        self.server.services.keys[use] = odd

    def error(self, octets, **where):
        """Return the error with which octets are answered."""
        status, basic = read_response(self.ocsp.responder.answer(octets, **where).octets)
        assert basic is None
        return status

    def read(self, octets):
        """Read an answer and verify its signature by whoever it names."""
        status, basic = read_response(octets)
        assert ResponseStatus.SUCCESSFUL is status, status
        signer = self.signer(basic)
        verify(public_key_of(signer), algorithm_of(basic.algorithm), basic.signature, basic.tbs)
        return basic

    def signer(self, basic):
        """Return the certificate of who signed."""
        enclosed = [x509.load_der_x509_certificate(one) for one in basic.certificates]
        names = self.server.authorities.names()
        own = [
            x509.load_der_x509_certificate(one.certificate)
            for name in names
            for one in self.server.authorities.get(name).generations
        ]
        return next(one for one in [*enclosed, *own] if self._is_responder(basic, one))

    def _is_responder(self, basic, certificate):
        if basic.responder_name is not None:
            return basic.responder_name == subject_of(certificate)
        return basic.responder_key_hash == key_identifier(public_key_of(certificate))


@pytest.fixture
def make_house():
    """Give a maker of servers with settings of their own."""

    def make(**settings):
        server = FakeServer([OcspSettings(**settings)])
        with server.database.transaction() as connection:
            metadata.create_all(connection)
        return House(server, of(server))

    return make


@pytest.fixture
def house(make_house):
    """Give a server with the settings that it has by itself."""
    return make_house()


@pytest.fixture
def record(house):
    """Give a certificate of ours."""
    return house.issue()
