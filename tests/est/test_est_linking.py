"""A request that is tied to its TLS session is good for this one alone (RFC 7030 section 3.5)."""

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID

from pikaserver.api.registrars import CMC_RA
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import distinguished_name, throw_away_request

BASE = "/.well-known/est"
PKCS10 = {"Content-Type": "application/pkcs10"}
CODE = ("4711", "sesame")
OURS = hashlib.sha256(b"this session").digest()
OTHER = hashlib.sha256(b"another session").digest()


def linked(key, binding):
    """Return a CSR whose challenge password is the binding in base64, as a body."""
    builder = x509.CertificateSigningRequestBuilder(distinguished_name("plc-21"))
    if binding is not None:
        password = binding if isinstance(binding, bytes) else binding.encode()
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password)
    csr = builder.sign(key, hashes.SHA256())
    return base64.b64encode(csr.public_bytes(Encoding.DER))


def b64(binding):
    return base64.b64encode(binding)


@pytest.fixture
def rule(server):
    """Set the template's rule."""

    def set_rule(word, **changes):
        rules = replace(make_template().est, possession_linking=word)
        server.templates.add(make_template(est=rules, **changes))

    return set_rule


def enroll(est, body, operation="simpleenroll", **who):
    who = who or {"user": CODE}
    return est.send("POST", f"{BASE}/{operation}", body, headers=PKCS10, **who)


@pytest.mark.parametrize("word", ["required", "if-sent"])
@pytest.mark.parametrize("name", ["tls-exporter", "tls-unique"])
def test_the_right_channel_is_taken_and_another_is_not(est, server, key, rule, word, name):
    """A request that was made for one session is refused when it is replayed in another one."""
    rule(word)
    body = linked(key, b64(OURS))
    est.bindings = {name: OURS}
    right = enroll(est, body)
    est.bindings = {name: OTHER}

    replayed = enroll(est, body)

    assert 200 == right.status_code
    assert (400, 1) == (replayed.status_code, len(server.wishes))
    assert "tied to another TLS session" in replayed.text
    assert 1 == server.codes.find("4711").proof.uses_left


def test_without_anything_the_rule_decides(est, server, key, rule):
    """Required means required; where it is optional older clients go on."""
    est.bindings = {"tls-exporter": OURS}
    rule("required")
    refused = enroll(est, linked(key, None))
    rule("if-sent")
    taken = enroll(est, linked(key, None))

    assert (400, 200) == (refused.status_code, taken.status_code)
    assert "tls-exporter or tls-unique" in refused.text
    assert 1 == len(server.wishes)


@pytest.mark.parametrize("said", ["", "secret", "=", "é"])
def test_what_is_no_binding_is_refused(est, server, key, rule, said):
    """Some put a passphrase there."""
    rule("if-sent")
    est.bindings = {"tls-exporter": OURS}

    assert 400 == enroll(est, linked(key, said)).status_code
    assert not server.wishes


def test_lines_in_the_base64_do_not_matter(est, key, rule):
    """Some clients break them."""
    rule("required")
    est.bindings = {"tls-exporter": OURS}
    text = b64(OURS)

    assert 200 == enroll(est, linked(key, text[:20] + b"\n" + text[20:] + b"\n")).status_code


def test_behind_a_proxy_nothing_can_be_tied(est, server, key, rule):
    """Its session is not the client's; one sentence says so."""
    rule("required")

    answer = enroll(est, linked(key, b64(OURS)))

    assert 400 == answer.status_code
    assert "ends before the server" in answer.text
    assert not server.wishes


def test_without_the_rule_the_password_is_nobodys_business(est, key):
    """It may be anything."""
    assert 200 == enroll(est, linked(key, "anything")).status_code


def test_a_renewal_is_tied_as_well(est, server, key, rule):
    """RFC 7030 section 4.2.2."""
    rule("required")
    record = server.issue(read_csr(throw_away_request(key, "plc-21")))
    est.bindings = {"tls-exporter": OURS}
    right, replay = linked(key, b64(OURS)), linked(key, b64(OTHER))

    taken = enroll(est, right, "simplereenroll", certificate=record.certificate)
    refused = enroll(est, replay, "simplereenroll", certificate=record.certificate)

    assert (200, 400) == (taken.status_code, refused.status_code)


def test_an_ra_passes_on_what_others_signed(est, key, rule, registrar):
    """RFC 7030 section 3.7: their sessions are not known here."""
    rule("required", registrars=frozenset({"registrar"}))
    est.bindings = {"tls-exporter": OURS}

    answer = enroll(est, linked(key, None), certificate=registrar.certificate)

    assert 200 == answer.status_code


def test_the_ras_certificate_alone_is_not_enough(est, key, rule, registrar):
    """Another template's registrar is a client like any other."""
    rule("required")
    est.bindings = {"tls-exporter": OURS}

    answer = enroll(est, linked(key, None), certificate=registrar.certificate)

    assert CMC_RA in x509.load_der_x509_certificate(registrar.certificate).extensions[-1].value
    assert 400 == answer.status_code
