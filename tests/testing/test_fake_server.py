"""The server in memory that plugin authors test with."""

import pytest
from cryptography import x509
from sqlalchemy import text

from pikaserver.api.certificates import CertificateStatus, Revocation, RevocationReason
from pikaserver.api.errors import Conflict, NotAllowed, NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request


@pytest.fixture
def server():
    return FakeServer()


def csr(server, common_name="plc-21"):
    return read_csr(throw_away_request(throw_away_key(server.entropy), common_name))


def test_certificates_are_the_same_octets_in_every_run():
    """Keys come from counted entropy, signatures are deterministic."""
    first, again = ((server, server.issue(csr(server))) for server in (FakeServer(), FakeServer()))

    assert first[1] == again[1]
    assert first[0].crls.issue("issuing") == again[0].crls.issue("issuing")


def test_a_certificate_is_signed_by_the_issuing_authority(server):
    """A real chain of two."""
    leaf = x509.load_der_x509_certificate(server.issue(csr(server)).certificate)
    issuing = x509.load_der_x509_certificate(server.authorities.keys["issuing"][0].certificate)
    root = x509.load_der_x509_certificate(server.authorities.keys["root"][0].certificate)

    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)


def test_a_hold_can_be_released_and_a_revocation_cannot(server):
    """As the real server does it."""
    record = server.issue(csr(server))
    hold = Revocation(server.clock(), RevocationReason.CERTIFICATE_HOLD)
    released = server.release(server.revoke(record, hold, "test"), "test")
    revoked = server.revoke(
        released, Revocation(server.clock(), RevocationReason.SUPERSEDED), "test"
    )

    assert CertificateStatus.VALID is released.status
    with pytest.raises(Conflict):
        server.release(revoked, "test")
    with pytest.raises(Conflict):
        server.revoke(revoked, hold, "test")


def test_doors_and_credentials_of_a_template_are_kept(server):
    """What a door's test relies on."""
    requester = Requester("code:1", "code", templates=frozenset({"device"}))
    server.templates.add(make_template("web"))
    server.templates.add(make_template("scep", doors=frozenset({"scep"})))

    with pytest.raises(NotAllowed):
        server.enroll(EnrollmentRequest(csr(server), requester, "web", "est"))
    with pytest.raises(RequestRejected):
        server.enroll(EnrollmentRequest(csr(server), requester, "scep", "est"))
    with pytest.raises(NotFound):
        server.enroll(EnrollmentRequest(csr(server), requester, "none", "est"))
    assert not server.certificates.records


def test_the_database_keeps_what_was_committed(server):
    """For a plugin's own tables."""
    with server.database.transaction() as connection:
        connection.execute(text("CREATE TABLE hello_word (word TEXT)"))
        connection.execute(text("INSERT INTO hello_word VALUES ('hi')"))

    with server.database.reading() as connection:
        assert "hi" == connection.execute(text("SELECT word FROM hello_word")).scalar()
