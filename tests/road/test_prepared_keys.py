"""The next key of an authority is certified and told before it issues anything."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.storage import audit
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from pikaserver_est.trust import ca_certificates


@pytest.fixture
def house(tmp_path):
    """Give a server whose authorities may change."""
    with make_server(tmp_path / "data", clock=FrozenClock()) as made:
        yield made


def plan(name, key="2"):
    empty = CaContent(x509.Name([]))
    reference = KeyReference("software", f"{name}-{key}")
    return AuthorityPlan(name, empty, "ec-p256", reference, default_algorithm("ec-p256"))


def prepare(house, name, key="2"):
    return house.succession.rekey(name, plan(name, key), "test", prepare=True)


def certificate(house, name, number=None):
    return house.authorities.key(name, number).certificate


def issued(house, make_csr, name):
    request = EnrollmentRequest(make_csr(name), Requester("t", "operator"), "device", "cli")
    return x509.load_der_x509_certificate(house.enroll(request).certificate)


def trail(house):
    with house.database.reading() as connection:
        lines = audit.read(connection, audit.TrailQuery())
        return [(one.event, one.actor) for one in lines if one.event.startswith("authority.")]


def test_a_prepared_key_is_told_and_issues_nothing(house, make_csr):
    """Its certificate and its CRL are there; the present key goes on."""
    present = certificate(house, "issuing")

    record = prepare(house, "issuing")
    house.crls.issue_due()

    assert [(2, False, True), (1, True, False)] == [
        (one.number, one.current, one.prepared) for one in record.generations
    ]
    issued(house, make_csr, "before.example.test").verify_directly_issued_by(present)
    told = ca_certificates(house.authorities, "issuing", house.clock())
    assert record.prepared.certificate in told
    assert 2 in {summary.generation for summary in house.crls.summaries()}
    made = house.certificates.signed_octets(record.prepared.id)
    assert [] == list(made)


def test_a_prepared_key_takes_over(house, make_csr):
    """From then on it issues, and the one before stays for what it signed."""
    prepare(house, "issuing")

    record = house.taking_over.now("issuing", "boss")

    assert [(2, True), (1, False)] == [(one.number, one.current) for one in record.generations]
    assert record.prepared is None
    leaf = issued(house, make_csr, "after.example.test")
    leaf.verify_directly_issued_by(certificate(house, "issuing", 2))
    with pytest.raises(Conflict, match="no prepared key"):
        house.taking_over.now("issuing", "boss")


def test_each_step_stands_in_the_trail(house):
    """Who prepared which key, when it shall take over, and that it did."""
    prepare(house, "issuing")
    house.taking_over.on("issuing", house.clock() + timedelta(days=1), "boss")
    house.taking_over.now("issuing", "boss")

    assert {
        ("authority.preparing", "test"),
        ("authority.take-over-set", "boss"),
        ("authority.taken-over", "boss"),
    } <= set(trail(house))


def test_a_root_is_linked_before_it_takes_over(house, make_csr):
    """RFC 4210 section 4.4: who trusts either root reaches what either signs, at any time."""
    first = certificate(house, "root")

    prepare(house, "root")

    second = certificate(house, "root", 2)
    new, old = house.authorities.get("root").generations
    assert (1, 1) == (len(new.others), len(old.others))
    told = ca_certificates(house.authorities, "issuing", house.clock())
    assert {new.certificate, *new.others, *old.others} <= set(told)
    before = issued(house, make_csr, "before.example.test")
    house.taking_over.now("root", "boss")
    house.succession.renew("issuing", "test")
    after = issued(house, make_csr, "after.example.test")
    for leaf in (before, after):
        for anchor in (first, second):
            assert leaf == path(house, leaf, anchor)[0]


def path(house, leaf, anchor):
    verifier = PolicyBuilder().store(Store([anchor])).time(house.clock()).build_client_verifier()
    keys = house.authorities.all_keys()
    ders = [other for key in keys for other in key.generation.others]
    others = [key.certificate for key in keys] + [x509.load_der_x509_certificate(d) for d in ders]
    return verifier.verify(leaf, others).chain


def test_it_takes_over_on_its_day(house):
    """No sooner, by a job; a second run finds nothing to do."""
    prepare(house, "issuing")
    house.taking_over.on("issuing", house.clock() + timedelta(days=30), "boss")

    house.clock.advance(timedelta(days=29))
    house.taking_over.due()
    early = house.authorities.get("issuing").prepared
    house.clock.advance(timedelta(days=1))
    house.taking_over.due()
    house.taking_over.due()

    assert 2 == early.number
    assert house.authorities.get("issuing").prepared is None
    assert house.authorities.settings("issuing").takes_over_at is None


def test_a_day_out_of_reach_is_refused(house):
    """Not in the past, and not when the present certificate is over."""
    end = certificate(house, "issuing").not_valid_after_utc
    with pytest.raises(Conflict, match="no prepared key"):
        house.taking_over.on("issuing", house.clock() + timedelta(days=1), "boss")
    prepare(house, "issuing")

    for moment in (house.clock(), end):
        with pytest.raises(RequestRejected, match="take over until"):
            house.taking_over.on("issuing", moment, "boss")


def test_one_key_is_prepared_at_a_time(house):
    """Also a rekey at once waits for it: numbers tell what comes after what."""
    prepare(house, "issuing")

    for other, prepared in (("2", True), ("3", True), ("3", False)):
        with pytest.raises(Conflict, match="prepared already"):
            house.succession.rekey("issuing", plan("issuing", other), "test", prepare=prepared)
    assert "software:issuing-3" not in {
        str(key.reference) for key in house.signers.backends()["software"].keys()
    }


def test_a_revoked_one_does_not_take_over(house, caplog):
    """Neither by hand nor by itself, and it is said why."""
    record = prepare(house, "issuing")
    house.taking_over.on("issuing", house.clock() + timedelta(days=1), "boss")
    own = house.certificates.by_certificate(record.prepared.certificate)
    house.revoke(own, Revocation(house.clock(), RevocationReason.KEY_COMPROMISE), "test")

    house.clock.advance(timedelta(days=2))
    with caplog.at_level(logging.ERROR):
        house.taking_over.due()

    assert "authority.not-taken-over" in {getattr(one, "event", "") for one in caplog.records}
    assert house.authorities.get("issuing").prepared is not None


def test_what_another_ca_signs_is_prepared_too(house):
    """The new key waits with its CSR; its certificate makes it the prepared one."""
    above = ec.generate_private_key(ec.SECP256R1())
    wanted = replace(plan("abroad", "1"), content=CaContent(x509.Name.from_rfc4514_string("CN=A")))
    house.ceremony.create_waiting(wanted, "test")
    bring(house, "abroad", above)

    waiting = prepare(house, "abroad")
    between = waiting.prepared
    bring(house, "abroad", above)

    assert between is None
    assert [(2, True), (1, False)] == [
        (one.number, one.prepared) for one in house.authorities.get("abroad").generations
    ]
    assert 1 == house.authorities.key("abroad").generation.number
    house.taking_over.now("abroad", "boss")
    assert 2 == house.authorities.key("abroad").generation.number


def bring(house, name, above):
    """Sign what waits as a CA elsewhere does, and import it."""
    csr = x509.load_der_x509_csr(house.authorities.get(name).waiting_csr)
    root = x509.Name.from_rfc4514_string("CN=Elsewhere")
    made = [
        signed(house, subject, root, key, above)
        for subject, key in ((csr.subject, csr.public_key()), (root, above.public_key()))
    ]
    house.ceremony.import_signed(name, made, "test")


def signed(house, subject, root, key, above):
    now = house.clock()
    point = serialization.PublicFormat.SubjectPublicKeyInfo
    number = hashes.Hash(hashes.SHA256())
    number.update(key.public_bytes(serialization.Encoding.DER, point))
    usage = x509.KeyUsage(
        **dict.fromkeys(USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    )
    builder = x509.CertificateBuilder(
        root, subject, key, int.from_bytes(number.finalize()[:8], "big") >> 1
    )
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=900))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    builder = builder.add_extension(identifier, critical=False)
    own = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())
    return builder.add_extension(own, critical=False).sign(above, hashes.SHA256())


USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
