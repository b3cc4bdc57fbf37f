"""Revocation is visible at once; CRLs are numbered, complete, and verify."""

from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.certificates import CertificateStatus, Revocation, RevocationReason
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.testing.servers import make_server

ALL_REASONS = [one for one in RevocationReason if one is not RevocationReason.REMOVE_FROM_CRL]


@pytest.fixture
def record(server, make_csr):
    csr = make_csr("revoke.example.test")
    request = EnrollmentRequest(csr, Requester("t", "operator"), "device", "cli")
    return server.enroll(request).record


def revoked(server, record, reason=RevocationReason.SUPERSEDED, **more):
    return server.revoke(record, Revocation(server.clock(), reason, **more), "test")


def listed(server, serial):
    crl = x509.load_der_x509_crl(server.crls.latest("issuing").crl)
    return crl.get_revoked_certificate_by_serial_number(serial)


@pytest.mark.parametrize("reason", ALL_REASONS)
def test_every_reason_is_stored_and_on_the_crl(server, record, reason):
    """RFC 5280 section 5.3.1; an unspecified reason is left out."""
    changed = revoked(server, record, reason)
    server.crls.issue_due()

    entry = listed(server, record.serial)
    assert changed.revocation.reason is reason
    assert entry is not None
    if reason is RevocationReason.UNSPECIFIED:
        assert 0 == len(entry.extensions)
    else:
        assert reason.rfc_name == entry.extensions[0].value.reason.value


def test_a_held_certificate_is_released_and_leaves_the_crl(server, record):
    held = revoked(server, record, RevocationReason.CERTIFICATE_HOLD)
    assert CertificateStatus.ON_HOLD is held.status
    server.crls.issue_due()
    assert listed(server, record.serial) is not None

    free = server.release(held, "test")
    server.crls.issue_due()

    assert CertificateStatus.VALID is free.status
    assert listed(server, record.serial) is None


def test_a_held_certificate_may_be_revoked_for_good(server, record):
    revoked(server, record, RevocationReason.CERTIFICATE_HOLD)

    changed = revoked(server, record, RevocationReason.KEY_COMPROMISE)

    assert CertificateStatus.REVOKED is changed.status
    with pytest.raises(Conflict, match="not on hold"):
        server.release(changed, "test")


def test_revoked_stays_revoked(server, record):
    """P4: neither a second revocation nor a hold changes it."""
    revoked(server, record)

    for reason in (RevocationReason.KEY_COMPROMISE, RevocationReason.CERTIFICATE_HOLD):
        with pytest.raises(Conflict, match="already"):
            revoked(server, record, reason)


def test_the_invalidity_date_is_kept_and_checked(server, record):
    """RFC 5280 section 5.3.2: when the key was no longer to be trusted."""
    at = server.clock()
    with pytest.raises(RequestRejected, match="later"):
        revoked(server, record, invalidity_at=at + timedelta(hours=1))

    revoked(server, record, invalidity_at=at - timedelta(hours=1))
    server.crls.issue_due()

    date = listed(server, record.serial).extensions.get_extension_for_class(x509.InvalidityDate)
    assert at - timedelta(hours=1) == date.value.invalidity_date_utc


def test_the_future_and_delta_words_are_refused(server, record):
    later = Revocation(server.clock() + timedelta(minutes=1), RevocationReason.SUPERSEDED)
    with pytest.raises(RequestRejected, match="future"):
        server.revoke(record, later, "test")
    with pytest.raises(RequestRejected, match="removeFromCRL"):
        revoked(server, record, RevocationReason.REMOVE_FROM_CRL)


def test_numbers_grow_and_nothing_is_signed_without_need(server, record):
    """RFC 5280 section 5.2.3: the CRL number grows with each CRL."""
    server.crls.issue_due()
    assert not server.crls.issue_due()
    before = server.crls.latest("issuing").number

    revoked(server, record)
    issued = server.crls.issue_due()

    assert [("issuing", before + 1)] == [(crl.authority, crl.number) for crl in issued]


def test_the_cadence_is_apart_from_the_validity(server, clock):
    """A fresh CRL comes daily, though each one would be good for a week."""
    server.crls.issue_due()
    clock.advance(timedelta(hours=25))

    issued = server.crls.issue_due()

    assert {"issuing", "root"} <= {crl.authority for crl in issued}
    crl = issued[0]
    assert timedelta(days=7) - timedelta(seconds=1) == crl.next_update - crl.this_update


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p384", "ed25519", "ml-dsa-65"])
def test_the_crl_verifies_with_every_kind_of_key(tmp_path, key_type):
    with make_server(tmp_path / "data", key_type=key_type) as server:
        server.crls.issue_due()

        for name in ("root", "issuing"):
            crl = x509.load_der_x509_crl(server.crls.latest(name).crl)
            key = server.authorities.key(name)
            assert crl.is_signature_valid(key.certificate.public_key())
            assert crl.issuer == key.certificate.subject


def test_an_expired_certificate_leaves_the_crl_after_one_more(server, record, clock):
    """RFC 5280 section 3.3: it was on at least one CRL issued after its end."""
    revoked(server, record)
    server.crls.issue_due()
    clock.advance(record.not_after - clock() + timedelta(days=1))

    server.crls.issue("issuing")
    first = listed(server, record.serial)
    clock.advance(timedelta(days=1))
    server.crls.issue("issuing")

    assert first is not None
    assert listed(server, record.serial) is None
