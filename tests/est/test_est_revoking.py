"""A device revokes its own certificate; a registration authority those of others."""

import base64
from dataclasses import replace

import pytest

from pikaserver.api.certificates import CertificateStatus, Revocation, RevocationReason
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request

BASE = "/.well-known/est"
CERTIFICATE = {"Content-Type": "application/pkix-cert"}


@pytest.fixture
def record(server, key):
    return server.issue(read_csr(throw_away_request(key, "plc-21")))


@pytest.fixture
def other(server):
    return server.issue(read_csr(throw_away_request(throw_away_key(server.entropy), "plc-22")))


def revoke(est, shown, body=b"", query=""):
    path = f"{BASE}/simplerevoke{query}"
    certificate = None if shown is None else shown.certificate
    return est.send("POST", path, body, headers=CERTIFICATE, certificate=certificate)


def named(record):
    return base64.b64encode(record.certificate)


def status(server, record):
    return server.certificates.get(record.id).status


def test_the_certificate_that_is_shown_is_revoked(est, server, record):
    """With the reason that its holder gives; it opens no door any more."""
    answer = revoke(est, record, query="?reason=keyCompromise")

    assert 200 == answer.status_code
    assert answer.text.endswith("is revoked\n")
    revocation = server.certificates.get(record.id).revocation
    assert RevocationReason.KEY_COMPROMISE is revocation.reason
    assert 401 == revoke(est, record).status_code


def test_an_older_certificate_of_the_same_holder_goes_too(est, server, key, record):
    """After a renewal, by the new one."""
    newer = server.issue(read_csr(throw_away_request(key, "plc-21")))

    answer = revoke(est, newer, named(record))

    assert 200 == answer.status_code
    assert CertificateStatus.REVOKED is status(server, record)
    assert CertificateStatus.VALID is status(server, newer)


def test_somebody_elses_certificate_stays(est, server, record, other):
    """Another name of the same template."""
    answer = revoke(est, record, named(other))

    assert (403, "that certificate is somebody else's\n") == (answer.status_code, answer.text)
    assert CertificateStatus.VALID is status(server, other)


def test_a_registration_authority_revokes_for_others(est, server, registrar, other):
    """Where the template names it."""
    before = revoke(est, registrar, named(other))
    server.templates.add(make_template(registrars=frozenset({"registrar"})))
    after = revoke(est, registrar, named(other))

    assert (403, 200) == (before.status_code, after.status_code)
    assert CertificateStatus.REVOKED is status(server, other)


def test_a_revoked_registration_authority_revokes_nothing(est, server, registrar, other):
    """401 on the very next request."""
    server.templates.add(make_template(registrars=frozenset({"registrar"})))
    revocation = Revocation(server.clock(), RevocationReason.KEY_COMPROMISE)
    server.revoke(registrar, revocation, "test")

    assert 401 == revoke(est, registrar, named(other)).status_code
    assert CertificateStatus.VALID is status(server, other)


@pytest.mark.parametrize("reason", ["certificateHold", "removeFromCRL", "cACompromise", "x"])
def test_not_every_reason_counts(est, server, record, reason):
    """A hold is for people, who can release it."""
    answer = revoke(est, record, query=f"?reason={reason}")

    assert 400 == answer.status_code
    assert CertificateStatus.VALID is status(server, record)


@pytest.mark.parametrize(
    "changes",
    [
        {"doors": frozenset({"scep"})},
        {"est": replace(make_template().est, self_revocation=False)},
    ],
)
def test_a_template_may_forbid_it(est, server, record, changes):
    """Or be no template of this door."""
    server.templates.add(make_template(**changes))

    assert 403 == revoke(est, record).status_code
    assert CertificateStatus.VALID is status(server, record)


def test_who_shows_no_certificate_revokes_nothing(est, server, record):
    """A code is for enrolling."""
    assert 401 == revoke(est, None, named(record)).status_code
    assert CertificateStatus.VALID is status(server, record)


@pytest.mark.parametrize("body", [b"AAAA", b"not base64!", b"\x30\x80"])
def test_what_is_no_certificate_is_refused(est, server, record, body):
    """In one sentence; nothing is revoked."""
    assert 400 == revoke(est, record, body).status_code
    assert CertificateStatus.VALID is status(server, record)


def test_a_certificate_of_somebody_else_is_not_found(est, server, record):
    """Not one of ours."""
    foreign = server.authorities.keys["root"][0].certificate

    assert 404 == revoke(est, record, base64.b64encode(foreign)).status_code


def test_a_body_that_says_it_is_something_else_is_refused(est, server, record):
    """And the answer says what is wanted."""
    answer = est.send(
        "POST",
        f"{BASE}/simplerevoke",
        b"{}",
        headers={"Content-Type": "application/json"},
        certificate=record.certificate,
    )

    assert (415, "application/pkix-cert") == (answer.status_code, answer.headers["accept"])
    assert CertificateStatus.VALID is status(server, record)


def test_the_window_of_the_own_certificate_is_told(est, server, record):
    """``renewal``; and the operator sees that the device was here."""
    answer = est.send("GET", f"{BASE}/renewal", certificate=record.certificate)
    labelled = est.send("GET", f"{BASE}/device/renewal", certificate=record.certificate)

    assert 200 == answer.status_code == labelled.status_code
    assert {"start", "end"} == answer.json["suggestedWindow"].keys()
    assert "3600" == answer.headers["retry-after"]
    assert [(record.id, "est")] * 2 == server.devices.visits
    assert 401 == est.get(f"{BASE}/renewal").status_code
    assert 404 == est.send("GET", f"{BASE}/x/renewal", certificate=record.certificate).status_code
