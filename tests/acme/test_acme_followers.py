"""Certificates that follow one another until the end that was ordered (RFC 8739)."""

from datetime import timedelta

import pytest

from pikaserver.api.certificates import CertificateQuery
from tests.acme.desk import csr_of, problem
from tests.acme.issued import NAME, der_of, first_of, revoke


@pytest.fixture
def star(make, server):
    """An order whose certificates follow each other for three days, each for one."""
    client = make(**{"pre-approved": ["*"], "auto-renewal": {"allowed": True}})
    client.register()
    wish = {
        "end-date": (server.clock() + timedelta(days=3)).isoformat(),
        "lifetime": 86_400,
        "allow-certificate-get": True,
    }
    order = client.order(NAME, **{"auto-renewal": wish})
    return client, client.finalize(order, csr_of(NAME))


def fetch(client, order):
    return client.web.get(order.json["star-certificate"].removeprefix("https://acme.example.test"))


def test_certificates_follow_until_the_end(star, server):
    """RFC 8739: half of a life before it ends the next one is there, for anybody to GET."""
    client, order = star
    first = fetch(client, order)
    serials = {first_of(first.text).serial_number}

    for _ in range(5):
        server.clock.advance(timedelta(hours=13))
        client.office.successors.issue_due()
        serials.add(first_of(fetch(client, order).text).serial_number)
    server.clock.advance(timedelta(days=1))
    ended = fetch(client, order)

    assert "valid" == order.json["status"]
    assert "certificate" not in order.json
    assert "cert-not-after" in first.headers
    assert len(serials) >= 4
    assert "autoRenewalExpired" == problem(ended)


def test_certificates_that_follow_are_canceled(star, server):
    """Not revoked: RFC 8739 section 3.1.2."""
    client, order = star
    pem = fetch(client, order).text
    refused = revoke(client, pem)
    canceled = client.post(order.headers["location"], {"status": "canceled"})
    again = client.post(order.headers["location"], {"status": "canceled"})

    server.clock.advance(timedelta(hours=13))
    client.office.successors.issue_due()

    assert "autoRenewalRevocationNotSupported" == problem(refused)
    assert "canceled" == canceled.json["status"]
    assert "autoRenewalCancellationInvalid" == problem(again)
    assert "autoRenewalCanceled" == problem(fetch(client, order))
    assert 1 == len([one for one in server.certificates.find(CertificateQuery(name=NAME))
                     if one.certificate == der_of(pem)])  # fmt: skip


def test_what_star_asks_is_held(make, desk, server):
    client = make(**{"pre-approved": ["*"], "auto-renewal": {"allowed": True}})
    client.register()
    soon = (server.clock() + timedelta(days=3)).isoformat()
    for wish in (
        {"lifetime": 86_400},
        {"end-date": soon, "lifetime": 1},
        {"end-date": soon},
        {"end-date": "2001-01-01T00:00:00Z", "lifetime": 86_400},
        {"end-date": soon, "lifetime": 86_400, "start-date": soon},
        {"end-date": soon, "lifetime": 86_400, "lifetime-adjust": 86_400},
        "yes",
    ):
        assert "malformed" == problem(client.order(NAME, **{"auto-renewal": wish}))
    wish = {"end-date": soon, "lifetime": 86_400}
    assert "malformed" == problem(desk.order(NAME, **{"auto-renewal": wish}))
