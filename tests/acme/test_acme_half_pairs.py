"""An order with half a pair, whose template asks for a person by now: it waits for a yes."""

from datetime import timedelta

import pytest

from pikaserver.api.certificates import CertificateQuery
from pikaserver.asn1.related_certificates import related_hash
from pikaserver.authority.templates.starters import starter
from pikaserver.testing.key_away import key_away
from tests.acme.desk import csr_of
from tests.acme.test_acme_pairs import client_of, downloaded, finalize, octets, save, second_of

NAME = "half.example.com"


@pytest.fixture
def half(make, server):
    """Finalize an order whose second certificate fails; return its client and the order."""
    save(server, "pq", 'mode = "allowed"')
    save(server, "classical", 'pair = "pq"')
    client = client_of(make, "classical")
    order = client.order(NAME)
    with key_away(at=2):
        finalize(client, order, csr_of(NAME), second_of(NAME))
    return client, order


def resumed(server, client, order):
    """Let the order go on by itself; return it."""
    server.clock.advance(timedelta(minutes=1))
    client.office.finalizing.resume_all()
    return client.post(order.headers["location"])


def test_an_order_goes_on_with_the_second_after_a_yes(server, half):
    """It is processing meanwhile, with one request however often it goes on by itself."""
    document = starter("web").replace("approval = false", "approval = true")
    save(server, "classical", 'pair = "pq"', document)

    held = [resumed(server, *half) for _ in range(2)]
    (waiting,) = server.requests.list()
    (first,) = server.certificates.find(CertificateQuery(name=NAME))
    server.requests.decide(waiting.id, "officer", approve=True)
    done = resumed(server, *half)

    assert ["processing", "processing", "valid"] == [one.json["status"] for one in (*held, done)]
    both = downloaded(half[0], done)
    assert first.certificate == octets(both[0][0])
    assert related_hash(both[1][0]).fits(first.certificate)
