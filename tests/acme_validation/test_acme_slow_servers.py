"""Servers that never end, trickle or say nothing: read to a limit, and left in time."""

import threading

import pytest

from pikaserver.testing.fake_server import FakeServer
from pikaserver_acme.storage.tables import metadata
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import Validation
from tests.acme_validation.challenges import StoredChallenges
from tests.acme_validation.raw_server import GOOD, always, drip


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 30_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nX-Y: " + b"z" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"x" * 200_000,
    ],
    ids=["body", "chunks", "chunk line", "fields", "field", "continue", "nothing"],
)
def test_an_endless_answer_is_read_to_a_limit(dns, serve, ask, look, octets):
    """32 KiB in all, whatever part of HTTP it pretends to be."""
    dns.add("www.example.org", "A", "127.0.0.1")

    verdict = look(ask(limits={"http_port": serve(always(octets)).port}))

    assert verdict.error in {"connection", "unauthorized"}
    assert not verdict.valid


@pytest.fixture
def pool():
    """Give validators with two threads that run, and the orders' side in a database."""
    server = FakeServer()
    with server.database.transaction() as connection:
        metadata.create_all(connection)
    challenges = StoredChallenges(server.database)
    settings = ValidationSettings(workers=2, waiting=10)
    validation = Validation(server, challenges, settings)
    validation.start()
    yield validation, challenges
    validation.stop()


def test_the_pool_is_free_after_slow_and_silent_servers(dns, serve, ask, pool):
    """A drip, a server that says nothing, TLS that never begins, a DNS server that is silent."""
    validation, challenges = pool
    ending = threading.Event()
    dns.silent.add("silent.example.org")
    dns.add("www.example.org", "A", "127.0.0.1")
    limits = {"timeout_seconds": 1, "attempts": 1}
    # No look-up of a name takes any of that second.
    address = {"identifier_type": "ip", "identifier_value": "127.0.0.1"}
    dripping = serve(drip(b"x", ending))
    mute = serve(lambda _line, _head: ending.wait(30))
    bad = [
        ask("http-01", limits={**limits, "http_port": dripping.port}, **address),
        ask("http-01", limits={**limits, "http_port": mute.port}, **address),
        ask("tls-alpn-01", limits={**limits, "tls_port": mute.port}, **address),
        ask("dns-01", "silent.example.org", limits=limits),
    ]
    for number, question in enumerate(bad, start=1):
        challenges.add(question, number)
        validation.begin(number)

    verdicts = challenges.wait(1, 2, 3, 4)

    ending.set()
    assert ["connection", "connection", "connection"] == [one.error for one in verdicts[:3]]
    assert verdicts[3].error in {"dns", "unauthorized"}
    challenges.add(ask(limits={"http_port": serve(GOOD).port}), 5)
    validation.begin(5)
    assert challenges.wait(5)[0].valid
