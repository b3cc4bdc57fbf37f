"""What CRLs say of themselves when an authority's settings change."""

from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.crls import DELTA_CRL, FULL_CRL
from pikaserver.testing.requirements import require_program
from tests.road.crl_ground import change, due, issue, latest, lists, revoke, value, verdict

DELTA = ("issuing", DELTA_CRL)


@pytest.fixture
def openssl():
    return require_program("openssl", package="openssl")


@pytest.fixture(autouse=True)
def usual(server):
    """Let each test begin with the settings and the CRLs of every other one."""
    yield
    change(server)
    server.clock.advance(timedelta(days=1))


def test_a_full_crl_tells_of_its_delta_at_once(server, make_csr, openssl, tmp_path):
    """One without freshestCRL hides from openssl what the delta lists."""
    record = issue(server, make_csr)
    server.crls.issue("issuing")
    change(server, crl_deltas=True)
    revoke(server, record)

    assert {("issuing", FULL_CRL), DELTA} == due(server)

    assert value(latest(server), x509.FreshestCRL)
    server.clock.advance(timedelta(minutes=1))
    since = issue(server, make_csr)
    revoke(server, since)
    assert {DELTA} == due(server)
    for one in (record, since):
        scopes = (FULL_CRL, DELTA_CRL)
        assert 2 == verdict(openssl, server, tmp_path, one, *scopes, deltas=True)[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"crl_keep_expired": True},
        {"crl_shards": 2, "crl_full": False},
        {"crl_shards": 2, "crl_full": False, "crl_urls": ("http://a.example.test/x{shard}.crl",)},
    ],
)
def test_what_a_crl_says_of_itself_follows_the_settings(server, changed):
    """At once, and once; times and entries are not waited for, whatever the hours are."""
    server.crls.issue("issuing")
    change(server, crl_on_revocation=False, **changed)

    assert ("issuing", FULL_CRL) in due(server)

    assert set() == due(server)
    change(server, crl_on_revocation=False, crl_every_seconds=7200, **changed)
    assert set() == due(server)


def test_a_delta_goes_on_for_those_who_point_to_it(server, make_csr):
    """A stale one would stop verifiers of certificates that are out."""
    change(server, crl_deltas=True)
    server.crls.issue("issuing")
    change(server)
    server.clock.advance(timedelta(minutes=1))
    record = issue(server, make_csr)
    revoke(server, record)

    assert {("issuing", FULL_CRL), DELTA} <= due(server)

    assert lists(latest(server), record) is not None
    base = value(latest(server, DELTA_CRL), x509.DeltaCRLIndicator)
    assert value(latest(server), x509.CRLNumber).crl_number == base.crl_number
