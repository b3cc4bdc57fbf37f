"""Client certificates and enrolment codes, as the host recognises them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import NotAuthenticated, TooManyRequests
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver.web.authentication import (
    CertificateAuthenticator,
    first_credential,
    network,
)
from tests.web.asking import basic, request


@pytest.fixture
def server():
    made = FakeServer()
    made.codes.add("4711", "sesame", "device", made.clock() + timedelta(days=1))
    return made


@pytest.fixture
def record(server):
    key = throw_away_key(server.entropy)
    return server.issue(read_csr(throw_away_request(key, "plc-21")))


def test_a_certificate_of_ours_tells_who_asks(server, record):
    """The requester carries the record, so that a renewal knows what it renews."""
    requester = server.authenticate(request(record.certificate))

    assert "certificate:CN=plc-21" == requester.name
    assert "certificate" == requester.method
    assert record == requester.certificate
    assert None is requester.templates
    assert "192.0.2.1" == requester.address


def test_a_certificate_that_does_not_verify_is_refused_with_the_reason(server):
    """Its owner did show one, so "no credential" would send him looking in the wrong place."""
    with pytest.raises(NotAuthenticated, match=r"^the client certificate is expired$"):
        server.authenticate(request(fault="the client certificate is expired"))


def test_a_code_counts_beside_a_certificate_that_does_not_verify(server):
    """A device whose certificate ran out enrols anew with a code."""
    asked = request(
        authorization=basic("4711", "sesame"), fault="the client certificate is expired"
    )

    assert "code:4711" == server.authenticate(asked).name


def test_a_certificate_of_somebody_else_is_refused(server):
    """Trust is not inherited: only what we issued and know counts."""
    stranger = FakeServer()
    stranger.entropy(1)
    foreign = stranger.issue(read_csr(throw_away_request(throw_away_key(stranger.entropy), "x")))

    with pytest.raises(NotAuthenticated, match="not one of ours"):
        server.authenticate(request(foreign.certificate))


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (RevocationReason.KEY_COMPROMISE, "is revoked"),
        (RevocationReason.CERTIFICATE_HOLD, "is on hold"),
    ],
)
def test_a_revoked_certificate_is_refused_at_once(server, record, reason, text):
    """Promise P4: the status is asked for each request."""
    server.authenticate(request(record.certificate))
    server.revoke(record, Revocation(server.clock(), reason), "test")

    with pytest.raises(NotAuthenticated, match=text):
        server.authenticate(request(record.certificate))


def test_both_ends_of_the_validity_belong_to_it(server, record):
    """RFC 5280 section 4.1.2.5: from notBefore through notAfter."""
    server.clock.advance(record.not_after - server.clock())
    server.authenticate(request(record.certificate))

    server.clock.advance(timedelta(seconds=1))

    with pytest.raises(NotAuthenticated, match="is expired"):
        server.authenticate(request(record.certificate))


def test_a_certificate_from_the_future_is_refused(server, record):
    """A clock that was set back does not make a certificate valid."""
    server.clock.advance(timedelta(seconds=-1))

    with pytest.raises(NotAuthenticated, match="not valid yet"):
        server.authenticate(request(record.certificate))


def test_a_certificate_that_expired_since_it_was_read_is_refused(server, record):
    """The status of the record may be a moment old; the dates decide, too."""

    class Stale:
        """Says that everything is valid."""

        def by_certificate(self, certificate):
            return record

    authenticator = CertificateAuthenticator(Stale(), server.clock)
    server.clock.advance(timedelta(days=91))

    with pytest.raises(NotAuthenticated, match="is expired"):
        authenticator.authenticate(request(record.certificate))


def test_a_long_subject_fits_the_column(server, record):
    """What is stored as requester has at most 300 characters."""
    server.certificates.add(replace(record, subject="CN=" + "x" * 1000))

    assert 300 == len(server.authenticate(request(record.certificate)).name)


def test_a_code_is_good_for_its_template_only(server):
    """The core gets the proof and the one template."""
    requester = server.authenticate(request(authorization=basic("4711", "sesame")))

    assert ("code:4711", "code") == (requester.name, requester.method)
    assert frozenset({"device"}) == requester.templates
    assert server.codes.find("4711").proof is requester.proof


def test_a_code_may_be_good_for_one_common_name_only(server):
    """The core is told which one, and refuses all others."""
    ends = server.clock() + timedelta(days=1)
    server.codes.add("4712", "sesame", "device", ends, common_name="plc-21")

    requester = server.authenticate(request(authorization=basic("4712", "sesame")))

    assert "plc-21" == requester.common_name


@pytest.mark.parametrize("wrong", [("4711", "Sesame"), ("4711", ""), ("4713", "sesame"), ("", "")])
def test_wrong_user_and_wrong_code_sound_alike(server, wrong):
    """Nobody learns which users there are."""
    with pytest.raises(NotAuthenticated) as refused:
        server.authenticate(request(authorization=basic(*wrong)))

    assert "wrong user or code" == str(refused.value)


def test_a_code_counts_until_its_last_moment(server):
    """Its end belongs to its life, as with certificates."""
    server.clock.advance(timedelta(days=1))
    server.authenticate(request(authorization=basic("4711", "sesame")))

    server.clock.advance(timedelta(seconds=1))

    with pytest.raises(NotAuthenticated, match="expired"):
        server.authenticate(request(authorization=basic("4711", "sesame")))


def test_a_spent_code_still_tells_who_asks(server):
    """Its owner may come back for a request that waited; the proof buys nothing more."""
    proof = server.codes.find("4711").proof
    with server.database.transaction() as connection:
        proof.spend(connection)

    requester = server.authenticate(request(authorization=basic("4711", "sesame")))

    with server.database.transaction() as connection, pytest.raises(NotAuthenticated):
        requester.proof.spend(connection)


def test_a_guesser_is_locked_out_and_others_are_not(server):
    """Five wrong codes cost a minute, at this address and for this user."""
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            server.authenticate(request(authorization=basic("4711", "guess")))

    with pytest.raises(TooManyRequests) as refused:
        server.authenticate(request(authorization=basic("4711", "sesame")))

    assert 60 == refused.value.retry_after
    server.authenticate(request(authorization=basic("4711", "sesame"), address="192.0.2.2"))


def test_guessing_users_one_by_one_locks_the_address(server):
    """A spray over many users is seen, too."""
    for number in range(100):
        with pytest.raises(NotAuthenticated):
            server.authenticate(request(authorization=basic(f"user-{number}", "guess")))

    with pytest.raises(TooManyRequests):
        server.authenticate(request(authorization=basic("4711", "sesame")))


def test_the_code_comes_first_unless_the_door_says_otherwise(server, record):
    """A header of this very request says more than a certificate shown on every line."""
    both = request(record.certificate, basic("4711", "sesame"))

    assert "code" == server.authenticate(both).method
    assert "certificate" == server.authenticate(both, ("certificate", "code")).method
    assert "certificate" == server.authenticate(both, ("certificate",)).method


def test_a_wrong_code_is_not_mended_by_a_certificate(server, record):
    """A credential that is there and wrong ends the matter."""
    with pytest.raises(NotAuthenticated, match="wrong user"):
        server.authenticate(request(record.certificate, basic("4711", "guess")))


@pytest.mark.parametrize("tls", [True, False])
def test_nothing_shown_is_not_authenticated(server, tls):
    """The text says what would have counted."""
    with pytest.raises(NotAuthenticated, match="code or certificate"):
        server.authenticate(request(tls=tls))


def test_a_door_that_asks_for_what_nobody_knows_lets_nobody_in():
    """No authenticator means no requester."""
    with pytest.raises(NotAuthenticated):
        first_credential([], request(), ("passport",))


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_one_guesser_is_one_network(address, counted):
    """Whoever has an IPv6 network has 2^64 addresses in it."""
    assert counted == network(address)
