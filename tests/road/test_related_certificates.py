"""Pairs of certificates (RFC 9763): bound when both keys agree, and refused otherwise."""

import hashlib
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.asn1.related_certificates import (
    RELATED_CERTIFICATE,
    related_attribute,
    related_hash,
)
from pikaserver.authority.templates.starters import starter
from pikaserver.storage import audit
from pikaserver.testing.throw_away import distinguished_name

OPERATOR = Requester("cli:test", "operator")
SHA384 = hashes.SHA384()
SIGNERS = {
    "ec": lambda key: lambda octets: key.sign(octets, ec.ECDSA(hashes.SHA256())),
    "ec-sha512": lambda key: lambda octets: key.sign(octets, ec.ECDSA(hashes.SHA512())),
    "rsa": lambda key: lambda octets: key.sign(octets, PKCS1v15(), hashes.SHA256()),
    "rsa-pss": lambda key: lambda octets: key.sign(octets, PSS(MGF1(SHA384), 48), SHA384),
}


@pytest.fixture(autouse=True)
def paired(server):
    """Let the template ``device`` bind certificates."""
    save(server, 'mode = "allowed"')
    yield
    server.templates.save("device", starter("device"), "test")


def save(server, mode, templates="[]"):
    document = starter("device").replace('mode = "refused"', mode)
    document = document.replace("templates = []", f"templates = {templates}")
    server.templates.save("device", document, "test")


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def first(server, make_csr, key):
    csr = make_csr("plc-21", names=[x509.DNSName("plc-21.example.test")], key=key)
    return server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli")).record


def second(server, record, sign, *, name="plc-21", at=None, dns="plc-21.example.test"):
    """Return a request with a new ML-DSA key, bound to a certificate."""
    new = mldsa.MLDSA65PrivateKey.generate()
    spki = new.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    value = x509.SubjectAlternativeName([x509.DNSName(dns)])
    wish = [x509.Extension(value.oid, critical=False, value=value)]
    bound = related_attribute(record.certificate, at or server.clock(), sign)
    info = request_info(distinguished_name(name), spki, wish, bound)
    csr = read_csr(assemble_csr(info, "ml-dsa-65", new.sign(info)))
    return EnrollmentRequest(csr, OPERATOR, "device", "cli")


def refused(server, request, why):
    """Nothing is signed."""
    before = signings(server)
    with pytest.raises((RequestRejected, MalformedRequest), match=why):
        server.enroll(request)
    assert before == signings(server)


def signings(server):
    with server.database.reading() as connection:
        lines = audit.read(connection, audit.TrailQuery())
        return sum(line.event == "certificate.signing" for line in lines)


@pytest.mark.parametrize("kind", ["ec", "ec-sha512", "rsa", "rsa-pss"])
def test_the_second_certificate_names_the_first(server, make_csr, kind, monkeypatch):
    """By the SHA-256 of its DER; nothing is fetched for it."""
    monkeypatch.setattr(socket, "getaddrinfo", None)
    own = (
        rsa.generate_private_key(65537, 2048)
        if kind.startswith("rsa")
        else ec.generate_private_key(ec.SECP256R1())
    )
    csr = make_csr("plc-21", names=[x509.DNSName("plc-21.example.test")], key=own)
    record = server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli")).record

    issued = server.enroll(second(server, record, SIGNERS[kind](own)))

    assert isinstance(issued, Issued)
    leaf = x509.load_der_x509_certificate(issued.certificate)
    bound = related_hash(leaf)
    assert hashlib.sha256(record.certificate).digest() == bound.value
    assert not leaf.extensions.get_extension_for_oid(RELATED_CERTIFICATE).critical
    assert "related" in {decision.rule for decision in issued.trace}
    assert [issued.record.id] == [one.id for one in server.pairs.of(record)]
    assert [record.id] == [one.id for one in server.pairs.of(issued.record)]


def test_requests_that_are_bound_to_nothing(server, first, key, clock):
    """Stale, from the future, another signer, another holder, the same key."""
    sign, now = SIGNERS["ec"](key), clock()
    other = SIGNERS["ec"](ec.generate_private_key(ec.SECP256R1()))

    old = second(server, first, sign, at=now - timedelta(hours=2))
    refused(server, old, "not lately")
    refused(server, second(server, first, sign, at=now + timedelta(hours=1)), "not lately")
    refused(server, second(server, first, other), "not signed by the key of the certificate")
    refused(server, second(server, first, sign, name="plc-22"), "subject and names are not")
    refused(server, second(server, first, sign, dns="x.example.test"), "subject and names are not")


def test_certificates_that_nothing_is_bound_to(server, first, key, clock):
    """Foreign, revoked, of another template, an authority's."""
    sign = SIGNERS["ec"](key)
    asked = second(server, first, sign)
    builder = (
        x509.CertificateBuilder(distinguished_name("Other CA"), distinguished_name("plc-21"))
        .public_key(key.public_key())
        .serial_number(first.serial)
    )
    builder = builder.not_valid_before(first.not_before).not_valid_after(first.not_after)
    strange = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    root = server.authorities.key("root").generation.certificate

    refused(server, second(server, replace(first, certificate=strange), sign), "not issued here")
    refused(server, second(server, replace(first, certificate=root), sign), "an authority's")
    save(server, 'mode = "allowed"', '["web"]')
    refused(server, asked, "template 'device' are not paired")
    save(server, 'mode = "allowed"')
    server.revoke(first, Revocation(clock(), RevocationReason.SUPERSEDED), "test")
    refused(server, asked, "is revoked")


def test_the_template_decides(server, make_csr, first, key):
    """Refused by default; required: no certificate without another one."""
    asked = second(server, first, SIGNERS["ec"](key))

    server.templates.save("device", starter("device"), "test")
    refused(server, asked, "binds no certificates to others")
    save(server, 'mode = "required"')
    refused(server, EnrollmentRequest(make_csr("x"), OPERATOR, "device", "cli"), "none is named")
    assert isinstance(server.enroll(asked), Issued)


def test_a_pair_is_found_whatever_the_second_is_called(server, first, key):
    """Templates give each certificate the subject and the names that they want."""
    document = starter("device").replace('mode = "refused"', 'mode = "allowed"')
    document = document.replace("[subject]", '[subject]\nfixed = { O = "Example" }')
    server.templates.save("device", document, "test")

    issued = server.enroll(second(server, first, SIGNERS["ec"](key)))

    other = server.certificates.get(issued.record.id)
    assert first.subject != other.subject
    assert [other.id] == [one.id for one in server.pairs.of(first)]
    assert [first.id] == [one.id for one in server.pairs.of(other)]


def test_a_device_that_shows_the_first_renews_nothing(server, first, key):
    """It asks for another key of its own, and both stay valid."""
    requester = Requester("certificate:plc-21", "certificate", certificate=first)
    asked = replace(second(server, first, SIGNERS["ec"](key)), requester=requester, door="est")

    issued = server.enroll(asked)

    assert isinstance(issued, Issued)
    assert "valid" == server.certificates.get(first.id).status


def test_what_was_revoked_while_a_request_waited_is_not_bound_to(server, first, key, clock):
    """Approval comes late; its own time does not count then, the status does."""
    document = starter("device").replace('mode = "refused"', 'mode = "allowed"')
    server.templates.save("device", document.replace("approval = false", "approval = true"), "test")
    asked = [second(server, first, SIGNERS["ec"](key)) for _ in range(2)]
    early, late = (server.enroll(one) for one in asked)
    assert isinstance(early, Pending)
    for waiting in (early, late):
        server.requests.decide(waiting.request_id, "test", approve=True)

    clock.advance(timedelta(hours=3))
    issued = server.enrollment.issue_approved(early.request_id)
    server.revoke(first, Revocation(clock(), RevocationReason.SUPERSEDED), "test")

    assert related_hash(x509.load_der_x509_certificate(issued.certificate)) is not None
    with pytest.raises(RequestRejected, match="is revoked"):
        server.enrollment.issue_approved(late.request_id)
