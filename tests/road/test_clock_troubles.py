"""A clock that runs back or ahead: signing stops, CRLs go on, and an operator gets out of it."""

from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import Unavailable
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester
from pikaserver.authority.recovery import accept_clock
from pikaserver.storage import audit

YEAR = timedelta(days=365)


@pytest.fixture
def enrol(server, make_csr):
    def once():
        csr = make_csr("clock.example.test")
        return server.enroll(EnrollmentRequest(csr, Requester("t", "operator"), "device", "cli"))

    return once


def revoked(server, record):
    server.revoke(record, Revocation(server.clock(), RevocationReason.SUPERSEDED), "test")
    (issued,) = server.crls.issue("issuing")
    return issued


def serials(crl):
    return {entry.serial_number for entry in x509.load_der_x509_crl(crl.crl)}


def test_a_revocation_is_told_though_the_clock_ran_back(server, enrol, clock):
    """P4 and P8: in doubt signing stops, status goes on; thisUpdate never goes back."""
    record = enrol().record
    (before,) = server.crls.issue("issuing")

    clock.advance(timedelta(hours=-1))
    try:
        after = revoked(server, record)
    finally:
        clock.advance(timedelta(hours=1))

    assert record.serial in serials(after)
    assert before.number < after.number
    assert before.this_update == after.this_update


def test_an_operator_goes_on_after_the_clock_ran_ahead(server, enrol, clock):
    """Else one wrong answer of a time server ends an authority for years."""
    record = enrol().record
    clock.advance(YEAR)
    enrol()
    (ahead,) = server.crls.issue("issuing")
    clock.advance(-YEAR)
    with pytest.raises(Unavailable, match="clock"):
        enrol()

    withdrawn = accept_clock(server.database, server.audit, clock(), "test")

    assert withdrawn
    assert isinstance(enrol(), Issued)
    after = revoked(server, record)
    assert ahead.number < after.number
    assert clock().replace(microsecond=0) == after.this_update
    with server.database.reading() as connection:
        assert audit.verify(connection).problem is None
