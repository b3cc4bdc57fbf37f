"""``/renewal`` before a server in memory."""

from datetime import timedelta

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.renewal import RenewalWindow
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver_renewal.plugin import register_services


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def client(server):
    return ServiceClient(*register_services(server))


@pytest.fixture
def record(server):
    return server.issue(read_csr(throw_away_request(throw_away_key(server.entropy), "plc-21")))


def test_anybody_may_ask_by_the_fingerprint(client, record):
    """Who has the certificate knows it; the answer is that of ACME's ARI."""
    answer = client.get(f"/renewal/{record.fingerprint}")

    assert 200 == answer.status_code
    assert {"start", "end"} == answer.json["suggestedWindow"].keys()
    assert "3600" == answer.headers["retry-after"]
    assert "no-store" == answer.headers["cache-control"]


def test_a_window_that_was_pulled_forward_says_why(client, server, record):
    now = server.clock()
    window = RenewalWindow(now, now + timedelta(hours=1), 900, "a weak key")
    server.renewals.windows[record.id] = window

    answer = client.get(f"/renewal/{record.fingerprint}")

    assert ("a weak key", "900") == (answer.json["reason"], answer.headers["retry-after"])


def test_a_client_asks_for_its_own(client, server, record):
    """With its certificate; the operator sees that it was here."""
    answer = client.send("GET", "/renewal", certificate=record.certificate)

    assert 200 == answer.status_code
    assert [(record.id, "renewal")] == server.devices.visits


def test_a_revoked_one_is_told_by_its_fingerprint_only(client, server, record):
    """It is no credential any more."""
    server.revoke(record, Revocation(server.clock(), RevocationReason.SUPERSEDED), "test")

    assert 401 == client.send("GET", "/renewal", certificate=record.certificate).status_code
    answer = client.get(f"/renewal/{record.fingerprint}")
    assert "the certificate is revoked" == answer.json["reason"]
    assert [] == server.devices.visits


@pytest.mark.parametrize("path", ["/renewal/" + "0" * 64, "/renewal/x"])
def test_an_unknown_one_is_not_found(client, path):
    assert 404 == client.get(path).status_code


def test_nobody_is_anonymous_without_an_identifier(client):
    assert 401 == client.get("/renewal").status_code


def test_it_is_not_answered_in_clear(server, record):
    """Whoever could write the answer could have every certificate renewed, or none."""
    plain = ServiceClient(*register_services(server), tls=False)

    assert 403 == plain.get(f"/renewal/{record.fingerprint}").status_code
