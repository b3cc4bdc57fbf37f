"""Registration authorities ask on behalf of others, as far as templates say so."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import NotAllowed, NotAuthenticated, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.asn1.csr import read_csr
from pikaserver.authority.templates.starters import starter

OPERATOR = Requester("cli:test", "operator")


@pytest.fixture
def with_registrar(server):
    """Let the template ``device`` take the word of registrars."""
    document = starter("device").replace("registrars = []", 'registrars = ["registrar"]')
    server.templates.save("device", document, "test")
    yield
    server.templates.save("device", starter("device"), "test")


@pytest.fixture
def registrar(server, make_csr):
    csr = make_csr("RA of plant 3", names=[])
    issued = server.enroll(EnrollmentRequest(csr, OPERATOR, "registrar", "cli"))
    return Requester("certificate:RA", "certificate", certificate=issued.record)


def wish(csr, requester, **changes):
    return EnrollmentRequest(csr, requester, "device", "est", **changes)


@pytest.mark.usefixtures("with_registrar")
def test_it_asks_for_whom_it_likes(server, make_csr, registrar):
    """Within the template's rules; the trail names the RA."""
    issued = server.enroll(wish(make_csr("plc-1", names=[x509.DNSName("plc-1.test")]), registrar))

    assert isinstance(issued, Issued)
    assert ("CN=plc-1", "certificate:RA") == (issued.record.subject, issued.record.requester)
    assert "on-behalf" in {decision.rule for decision in issued.trace}
    with pytest.raises(RequestRejected):
        server.enroll(wish(make_csr("plc", names=[x509.RFC822Name("a@plc.test")]), registrar))


@pytest.mark.usefixtures("with_registrar")
def test_it_renews_what_is_others(server, make_csr, registrar):
    """Subject and names stay those of the device, whoever asks."""
    old = server.enroll(wish(make_csr("plc-2", names=[]), registrar)).record

    renewed = server.enroll(wish(make_csr("plc-2", names=[]), registrar, renews=old))

    assert isinstance(renewed, Issued)
    with pytest.raises(RequestRejected, match="the subject must stay"):
        server.enroll(wish(make_csr("plc-3", names=[]), registrar, renews=old))


def test_a_template_that_does_not_name_it_binds_it_like_anybody(server, make_csr, registrar):
    """It would renew its own certificate, which is of another template."""
    with pytest.raises(RequestRejected):
        server.enroll(wish(make_csr("plc-4", names=[]), registrar))


@pytest.mark.usefixtures("with_registrar")
def test_the_certificate_has_to_be_made_for_it(server, make_csr):
    """The template's name alone is not enough: cmcRA has to stand in it (RFC 6402)."""
    document = starter("registrar").replace('["clientAuth", "cmcRA"]', '["clientAuth"]')
    server.templates.save("registrar", document, "test")
    csr = make_csr("RA without its purpose", names=[])
    issued = server.enroll(EnrollmentRequest(csr, OPERATOR, "registrar", "cli"))
    server.templates.save("registrar", starter("registrar"), "test")
    plain = Requester("c", "certificate", certificate=issued.record)

    with pytest.raises(RequestRejected):
        server.enroll(wish(make_csr("plc-5", names=[]), plain))


@pytest.mark.usefixtures("with_registrar")
def test_a_revoked_registrar_gets_nothing(server, make_csr, clock, registrar):
    """Its status counts at the moment of the request, not when the line was opened."""
    revocation = Revocation(clock(), RevocationReason.KEY_COMPROMISE)
    server.revoke(registrar.certificate, revocation, "test")

    with pytest.raises(NotAuthenticated, match="is revoked"):
        server.enroll(wish(make_csr("plc-6", names=[]), registrar))


@pytest.mark.usefixtures("with_registrar")
def test_a_code_is_no_registrar(server, make_csr, registrar):
    """What counts is the method that was proved, not what lies beside it."""
    odd = replace(registrar, method="code")

    with pytest.raises((NotAllowed, NotAuthenticated)):
        server.enroll(wish(make_csr("plc-7", names=[]), odd))


def test_what_waits_is_found_again_by_its_content(server):
    """A challenge password that ties each request to another session says nothing of it."""
    document = starter("device").replace("approval = false", "approval = true")
    server.templates.save("patient", document, "test")
    key = ec.generate_private_key(ec.SECP256R1())

    def asked(password, name="plc-8"):
        subject = x509.Name.from_rfc4514_string(f"CN={name}")
        builder = x509.CertificateSigningRequestBuilder(subject)
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password)
        csr = read_csr(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
        return server.enroll(EnrollmentRequest(csr, OPERATOR, "patient", "cli"))

    first, again, other = asked(b"one"), asked(b"two"), asked(b"one", "plc-9")

    assert isinstance(first, Pending)
    assert first.request_id == again.request_id != other.request_id
    server.requests.decide(first.request_id, "test", approve=True)
    assert isinstance(asked(b"three"), Issued)
