"""ML-KEM keys are certified when somebody proves to have them, and not otherwise."""

import importlib.util
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester, Severity
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.csr import read_csr, request_info
from pikaserver.asn1.possession_statements import statement_attribute, unsigned_request
from pikaserver.authority.key_challenges import GOOD_FOR
from pikaserver.authority.templates.starters import starter
from pikaserver.signing.ml_kem import answer, answer_here, ml_kem_public_key, new_ml_kem_key
from pikaserver.storage import audit
from pikaserver.testing.damage import altered
from pikaserver.testing.throw_away import distinguished_name

OPERATOR = Requester("cli:test", "operator")
TEMPLATE = "key-establishment"


@dataclass
class Holder:
    """Somebody with a signature certificate of ours."""

    record: object
    key: object
    algorithm: str

    def sign(self, info):
        signature = (
            self.key.sign(info, ec.ECDSA(hashes.SHA256()))
            if self.algorithm == "ecdsa-sha256"
            else self.key.sign(info)
        )
        return read_csr(
            der.signed(info, SIGNATURE_ALGORITHMS[self.algorithm].identifier, signature)
        )

    def state(self, spki, name=None, *, send=False):
        """Return a request for another key with this holder's statement."""
        attribute = statement_attribute(self.record.certificate, send=send)
        subject = distinguished_name(name or self.record.subject.removeprefix("CN="))
        return self.sign(request_info(subject, spki, [], attribute))


@pytest.fixture
def holder(server, make_csr):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = make_csr("plc-21", names=[], key=key)
    record = server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli")).record
    return Holder(record, key, "ecdsa-sha256")


@pytest.fixture
def quantum_holder(server):
    key = mldsa.MLDSA65PrivateKey.generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    holder = Holder(None, key, "ml-dsa-65")
    csr = holder.sign(request_info(distinguished_name("plc-65"), spki, []))
    record = server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli")).record
    return replace(holder, record=record)


@pytest.fixture
def kem():
    return new_ml_kem_key("ml-kem-768")


@pytest.fixture
def spki(kem):
    return ml_kem_public_key(kem)


def wish(csr, requester=OPERATOR, **more):
    return EnrollmentRequest(csr, requester, TEMPLATE, more.pop("door", "cli"), **more)


def refused(server, request, why):
    """Nothing is signed, nothing is stored."""
    before = count(server)
    with pytest.raises((RequestRejected, MalformedRequest), match=why):
        server.enroll(request)
    assert before == count(server)


def count(server):
    with server.database.reading() as connection:
        return sum(
            line.event == "certificate.signing"
            for line in audit.read(connection, audit.TrailQuery())
        )


@pytest.mark.parametrize("kind", ["holder", "quantum_holder"])
def test_a_statement_of_the_same_holder_is_enough(server, request, spki, kind):
    """RFC 9883; the certificate is for keyEncipherment alone (RFC 9935 section 5)."""
    issued = server.enroll(wish(request.getfixturevalue(kind).state(spki)))

    assert isinstance(issued, Issued)
    leaf = x509.load_der_x509_certificate(issued.certificate)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_encipherment
    assert not usage.digital_signature
    assert leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
    assert "possession" in {decision.rule for decision in issued.trace}


@pytest.mark.skipif(
    importlib.util.find_spec("pkilint") is None,
    reason="pkilint is not installed: pip install pikaserver[lint]",
)
@pytest.mark.parametrize("kind", ["ml-kem-768", "ml-kem-1024"])
def test_pkilint_finds_no_error(server, kind):
    """An independent judge of RFC 9935."""
    from pikaserver.authority.pkilint_adapter import pkilint  # noqa: PLC0415 - optional

    wished = request_info(distinguished_name("plc-40"), new_public_key(kind), [])
    made = server.key_generator.generate(kind, unsigned_request(wished))
    issued = server.enroll(wish(made.csr, answer=made.answer))

    assert [] == [each for each in pkilint(issued.certificate) if each.severity is Severity.ERROR]


def new_public_key(kind):
    return ml_kem_public_key(new_ml_kem_key(kind))


def test_a_device_shows_the_certificate_that_states(server, holder, spki):
    """Its own certificate is proof and signer at once, and nothing is renewed by it."""
    requester = Requester("certificate:x", "certificate", certificate=holder.record)

    issued = server.enroll(wish(holder.state(spki, send=True), requester, door="est"))

    assert isinstance(issued, Issued)
    assert holder.record.subject == issued.record.subject
    refused(server, wish(holder.state(spki, "plc-22"), requester, door="est"), "vouches|names")


def test_statements_that_do_not_count(server, holder, spki):
    """Another holder, a key that does not fit, none at all, a key that signs."""
    stated = holder.state(spki)
    flipped = replace(stated, signature=altered(stated.signature))
    other = replace(holder, key=ec.generate_private_key(ec.SECP256R1()))
    own = holder.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    refused(server, wish(holder.state(spki, "plc-22")), "subject and names are not those")
    refused(server, wish(flipped), "not signed by the key")
    refused(server, wish(other.state(spki)), "not signed by the key")
    refused(
        server,
        EnrollmentRequest(holder.state(own), OPERATOR, "device", "cli"),
        "proves its possession itself",
    )
    bare = unsigned_request(request_info(distinguished_name("plc-21"), spki, []))
    refused(server, wish(bare), "cannot sign: the request needs")


def test_signers_that_do_not_count(server, holder, spki, clock):
    """Foreign, an authority, of an authority that is not trusted, not valid any more."""
    root = server.authorities.key("root").generation.certificate
    foreign = replace(holder.record, certificate=root)
    stated = holder.state(spki)

    refused(server, wish(replace(holder, record=foreign).state(spki, "x")), "an authority's")
    document = (
        starter(TEMPLATE)
        .replace('client-authorities = ["issuing"]', "")
        .replace('"certificate", "operator"', '"operator"')
    )
    server.templates.save(TEMPLATE, document.replace('= "issuing"', '= "root"'), "test")
    refused(server, wish(stated), "do not count for this template")
    server.templates.save(TEMPLATE, starter(TEMPLATE), "test")
    revocation = Revocation(clock(), RevocationReason.KEY_COMPROMISE)
    server.revoke(holder.record, revocation, "test")
    refused(server, wish(stated), "is revoked")


def test_a_certificate_of_strangers_is_not_looked_for(server, holder, spki):
    """Only what was issued here can state anything."""
    strange = (
        x509.CertificateBuilder(distinguished_name("Other CA"), distinguished_name("plc-21"))
        .public_key(holder.key.public_key())
        .serial_number(4711)
    )
    record = server.certificates.get(holder.record.id)
    strange = strange.not_valid_before(record.not_before).not_valid_after(record.not_after)
    certificate = strange.sign(holder.key, hashes.SHA256()).public_bytes(Encoding.DER)

    stranger = replace(holder, record=replace(record, certificate=certificate))

    refused(server, wish(stranger.state(spki, "plc-21", send=True)), "was not issued here")


def test_an_answered_challenge_is_enough(server, spki, kem):
    """The server seals a secret for the key; who tells of it has the key."""
    csr = unsigned_request(request_info(distinguished_name("plc-30"), spki, []))

    issued = server.enroll(wish(csr, answer=answer_here(server.key_challenges, csr, kem)))

    assert isinstance(issued, Issued)
    assert "CN=plc-30" == issued.record.subject


def test_answers_that_prove_nothing(server, spki, kem, clock):
    """Another key, another request, an invented ticket, too late, or the template says no."""
    csr = unsigned_request(request_info(distinguished_name("plc-31"), spki, []))
    other = unsigned_request(request_info(distinguished_name("plc-32"), spki, []))
    challenge = server.key_challenges.make(csr.tbs, csr.public_key)
    good = answer(challenge, kem, csr.tbs)

    refused(server, wish(csr, answer=replace(good, proof=bytes(32))), "does not prove")
    refused(server, wish(other, answer=good), "for another request")
    refused(server, wish(csr, answer=replace(good, message=b"")), "does not speak of this")
    for ticket in (b"", b"\0" * 200, altered(good.ticket)):
        refused(server, wish(csr, answer=replace(good, ticket=ticket)), "was not given here")
    with pytest.raises(MalformedRequest, match="another recipient"):
        answer(challenge, new_ml_kem_key("ml-kem-768"), csr.tbs)
    document = starter(TEMPLATE).replace("challenge = true", "challenge = false")
    server.templates.save(TEMPLATE, document, "test")
    refused(server, wish(csr, answer=good), "takes no answers")
    server.templates.save(TEMPLATE, starter(TEMPLATE), "test")
    clock.advance(GOOD_FOR + timedelta(seconds=1))
    refused(server, wish(csr, answer=good), "too old")


def test_a_request_that_waits_proves_possession_once(server, spki, kem):
    """Asked again, the very same request needs no second answer."""
    document = starter(TEMPLATE).replace("approval = false", "approval = true")
    server.templates.save(TEMPLATE, document, "test")
    csr = unsigned_request(request_info(distinguished_name("plc-33"), spki, []))

    waits = server.enroll(wish(csr, answer=answer_here(server.key_challenges, csr, kem)))
    assert isinstance(waits, Pending)
    server.requests.decide(waits.request_id, "test", approve=True)
    issued = server.enroll(wish(csr))

    server.templates.save(TEMPLATE, starter(TEMPLATE), "test")
    assert isinstance(issued, Issued)


def test_keys_that_sign_are_not_challenged(server, holder):
    """They have a better way."""
    own = holder.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(RequestRejected, match="signs its request"):
        server.key_challenges.make(b"tbs", own)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('["keyEncipherment"]', '["digitalSignature"]'), "RFC 9935 section 5"),
        (('["keyEncipherment"]', '["keyEncipherment", "keyAgreement"]'), "RFC 9935 section 5"),
    ],
)
def test_a_template_with_other_uses_is_refused(server, change, why):
    """RFC 9935 section 5: keyEncipherment alone."""
    with pytest.raises(RequestRejected, match=why):
        server.templates.save(TEMPLATE, starter(TEMPLATE).replace(*change), "test")
