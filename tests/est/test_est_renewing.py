"""Certificates of ours at the door: renewed by being shown, or shown for something else."""

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from tests.est.simple_client import BASE, body, certificates, enroll, reenroll


@pytest.fixture
def record(server, key):
    """Return a certificate of ours for the key."""
    return server.issue(read_csr(throw_away_request(key, "plc-21", x509.DNSName("plc.example"))))


def test_a_certificate_may_enrol_where_the_template_says_so(est, server, key, record):
    """The core decides by the template's proofs; the door brings who asks."""
    answer = enroll(est, body(key, "plc-22"), user=None, certificate=record.certificate)
    server.templates.add(make_template(proofs=frozenset({"code"})))
    refused = enroll(est, body(key, "plc-23"), user=None, certificate=record.certificate)

    assert [200, 403] == [answer.status_code, refused.status_code]
    assert None is server.wishes[0].renews


def test_a_code_goes_before_a_certificate_that_is_shown_too(est, server, key, record):
    """Many clients show their certificate on every line."""
    enroll(est, body(key), certificate=record.certificate)

    assert "code" == server.wishes[0].requester.method


def test_a_certificate_is_renewed_by_showing_it(est, server, record):
    """RFC 7030 section 4.2.2: the same subject and names, with a new key if wished."""
    new_key = throw_away_key(server.entropy)

    answer = reenroll(est, body(new_key, "plc-21", x509.DNSName("plc.example")), record.certificate)

    assert 200 == answer.status_code
    assert record == server.wishes[0].renews
    (certificate,) = certificates(answer)
    loaded = x509.load_der_x509_certificate(certificate)
    assert new_key.public_key() == loaded.public_key()
    assert "CN=plc-21" == loaded.subject.rfc4514_string()


@pytest.mark.parametrize(
    ("common_name", "name"), [("plc-22", "plc.example"), ("plc-21", "plc-2.example")]
)
def test_a_renewal_under_another_name_is_refused(est, server, key, record, common_name, name):
    """RFC 7030 section 4.2.2; the reason is in the answer."""
    answer = reenroll(est, body(key, common_name, x509.DNSName(name)), record.certificate)

    assert (400, "a renewal keeps subject and names\n") == (answer.status_code, answer.text)
    assert 1 == len(server.certificates.records)


def test_a_code_is_not_enough_to_renew(est, server, key):
    """Renewal is asked by the certificate itself."""
    answer = enroll(est, body(key), path=f"{BASE}/simplereenroll")

    assert 401 == answer.status_code
    assert not server.wishes


def test_a_code_sent_with_a_renewal_is_not_spent(est, server, key, record):
    """A client that is set up with both renews with its certificate."""
    octets = body(key, "plc-21", x509.DNSName("plc.example"))

    answer = enroll(est, octets, path=f"{BASE}/simplereenroll", certificate=record.certificate)

    assert 200 == answer.status_code
    assert 2 == server.codes.find("4711").proof.uses_left


def test_a_revoked_certificate_renews_nothing(est, server, key, record):
    """Promise P4, on the very next request."""
    server.revoke(record, Revocation(server.clock(), RevocationReason.KEY_COMPROMISE), "test")

    answer = reenroll(est, body(key, "plc-21", x509.DNSName("plc.example")), record.certificate)

    assert (401, "the client certificate is revoked\n") == (answer.status_code, answer.text)
    assert not server.wishes


def test_without_a_label_a_renewal_stays_under_its_template(est, server, key):
    """A label cannot be sent by strongSwan; its certificate says where it came from."""
    server.templates.add(make_template("web"))
    record = server.issue(read_csr(throw_away_request(key, "www")), "web")

    reenroll(est, body(key, "www"), record.certificate)
    reenroll(est, body(key, "www"), record.certificate, f"{BASE}/device/simplereenroll")

    assert ["web", "device"] == [wish.template for wish in server.wishes]
