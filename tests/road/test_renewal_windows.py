"""When should a certificate be renewed?  By its template, or now when it must be replaced."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import Conflict, MalformedRequest, NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester
from pikaserver.api.renewal import renewal_info
from pikaserver.authority.renewal_windows import read_identifier, write_identifier
from pikaserver.authority.templates.starters import starter

OPERATOR = Requester("cli:test", "operator")
DAY = timedelta(days=1)


@pytest.fixture
def issued(server, make_csr):
    """Give a certificate of one year."""
    csr = make_csr("window.example.test", names=[])
    return server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli"))


def windowed(server, days):
    document = starter("device").replace('# window = "90d"', f'window = "{days}d"')
    server.templates.save("windowed", document, "test")


def test_without_a_rule_it_is_the_last_third(server, issued):
    """The first half of it, so that a client that fails has as long again."""
    record = issued.record
    life = record.not_after - record.not_before

    window = server.renewals.window(record)

    assert record.not_after - life / 3 == window.start
    assert abs(record.not_after - life / 6 - window.end) < timedelta(seconds=1)
    assert (None, 6 * 3600) == (window.why, window.retry_after)


def test_a_template_says_when_its_window_opens(server, make_csr):
    """The very moment from which on it takes renewals."""
    windowed(server, 30)
    csr = make_csr("rule.example.test", names=[])
    record = server.enroll(EnrollmentRequest(csr, OPERATOR, "windowed", "cli")).record

    window = server.renewals.window(record)

    assert record.not_after - 30 * DAY == window.start
    assert record.not_after - 15 * DAY == window.end


def test_an_order_pulls_it_forward_and_opens_the_template(server, make_csr, clock):
    """Too early becomes possible, and possible again too early, as the operator says."""
    windowed(server, 30)
    csr = make_csr("early.example.test", names=[])
    old = server.enroll(EnrollmentRequest(csr, OPERATOR, "windowed", "cli"))
    holder = Requester("c", "certificate", certificate=old.record)
    asked = EnrollmentRequest(csr, holder, "windowed", "est", renews=old.record)
    with pytest.raises(RequestRejected, match="it is too early"):
        server.enroll(asked)

    window = server.renewals.order(old.record, DAY, "a weak key", "cli:ann")

    assert (clock(), clock() + DAY, "a weak key") == (window.start, window.end, window.why)
    assert window == server.renewals.window(old.record)
    assert isinstance(server.enroll(asked), Issued)
    later = server.renewals.withdraw(old.record, "cli:ann")
    assert later.start == old.record.not_after - 30 * DAY
    with pytest.raises(RequestRejected, match="it is too early"):
        server.enroll(replace(asked, csr=make_csr("early.example.test", names=[])))
    with pytest.raises(NotFound, match="nobody ordered"):
        server.renewals.withdraw(old.record, "cli:ann")


def test_the_second_order_counts(server, issued, clock):
    """With its reason and its time."""
    server.renewals.order(issued.record, DAY, "one", "test")

    window = server.renewals.order(issued.record, 2 * DAY, "two", "test")

    assert (clock() + 2 * DAY, "two") == (window.end, window.why)


def test_a_revoked_certificate_should_have_been_renewed(server, issued, clock):
    """RFC 9773 section 4.2: a window in the past; an order would come too late."""
    revocation = Revocation(clock(), RevocationReason.KEY_COMPROMISE)
    record = server.revoke(issued.record, revocation, "test")

    window = server.renewals.window(record)

    assert window.start < window.end <= clock()
    assert "the certificate is revoked" == window.why
    with pytest.raises(Conflict, match="is revoked"):
        server.renewals.order(record, DAY, "late", "test")


def test_what_is_below_a_revoked_authority_is_due_at_once(server, make_csr, clock):
    """Its certificate or one above it: clients that ask hear it before they find out."""
    csr = make_csr("below.example.test", names=[])
    below = server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli")).record
    certificate = server.authorities.get("issuing").generations[0].certificate
    held = server.certificates.by_certificate(certificate)
    server.revoke(held, Revocation(clock(), RevocationReason.CERTIFICATE_HOLD), "test")

    window = server.renewals.window(below)

    assert window.end <= clock()
    assert "revoked" in window.why
    server.release(server.certificates.get(held.id), "test")
    assert clock() < server.renewals.window(below).start


def test_little_time_left_means_asking_more_often(server, issued):
    """A quarter of what is left, but no more than once a minute."""
    order = server.renewals.order(issued.record, timedelta(hours=1), "soon", "test")
    at_once = server.renewals.order(issued.record, timedelta(0), "now", "test")

    assert (900, 60) == (order.retry_after, at_once.retry_after)
    assert at_once.start < at_once.end


def test_a_certificate_is_found_by_what_clients_know(server, issued):
    """RFC 9773 section 4.1, and its fingerprint."""
    identifier = write_identifier(issued.certificate)

    assert issued.record == server.renewals.find(identifier)
    assert issued.record == server.renewals.find(issued.record.fingerprint.upper())
    key, _, serial = identifier.partition(".")
    for other in (f"AAAA.{serial}", f"{key}.AQ", "0" * 64):
        with pytest.raises(NotFound):
            server.renewals.find(other)


def test_the_identifier_of_the_rfc():
    """The example of RFC 9773 section 4.1; its serial number begins with a zero octet."""
    key, serial = read_identifier("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")

    assert "69885b6b87464041e1b37b847ba0ae2cde01c8d4" == key.hex()
    assert 0x87654321 == serial


@given(st.text(max_size=200))
def test_nothing_else_is_an_identifier(text):
    """Refused in one sentence, or read: never anything else."""
    try:
        key, serial = read_identifier(text)
    except MalformedRequest:
        return
    assert key
    assert serial > 0


def test_the_answer_is_that_of_acme(server, issued):
    """RFC 9773 section 4.2, in UTC and whole seconds."""
    info = renewal_info(server.renewals.window(issued.record))
    early = renewal_info(server.renewals.order(issued.record, DAY, "a weak key", "test"))

    assert {"suggestedWindow"} == info.keys()
    assert {"start", "end"} == info["suggestedWindow"].keys()
    assert all(moment.endswith("Z") for moment in info["suggestedWindow"].values())
    assert "a weak key" == early["reason"]
