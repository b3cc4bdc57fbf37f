"""The shortcut gives what the routes give, and at hand only what still holds."""

from base64 import b64encode
from contextlib import contextmanager
from datetime import timedelta

import pytest

from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.web import ClientConnection, WholeRequest
from pikaserver.asn1.ocsp import ResponseStatus, write_extension
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.testing.client import ServiceClient
from pikaserver_ocsp.plugin import register_services

CLIENT = ClientConnection("public", "192.0.2.9", None)


@pytest.fixture
def counting(house, monkeypatch):
    """Let the database count its commits at once, as SQLite does."""
    database = house.server.database
    commits = iter(range(1000))
    number = [next(commits)]
    before = database.transaction

    @contextmanager
    def transaction():
        with before() as connection:
            yield connection
        number[0] = next(commits)

    monkeypatch.setattr(database, "transaction", transaction)
    monkeypatch.setattr(database, "commits", lambda: number[0])
    return transaction


def post(octets, path="/ocsp", **headers):
    return WholeRequest("POST", path, headers, octets, CLIENT)


def get(octets, path="/ocsp", **headers):
    return WholeRequest("GET", f"{path}/{b64encode(octets).decode()}", headers, b"", CLIENT)


def status(ready):
    return read_response(ready.body)[1].answers[0].status


@pytest.mark.parametrize("make", [post, get])
def test_it_gives_what_the_routes_give(house, record, make):
    """Answers and headers, for all and for one authority, good and bad."""
    client = ServiceClient(*register_services(house.server), tls=False)
    requests = [write_request([house.cert_id(record)]), b"\x30\x00"]

    for octets in requests:
        for path in ("/ocsp", "/ocsp/issuing", "/ocsp/nobody"):
            asked = make(octets, path)
            routed = client.send(asked.method, asked.path, asked.body)
            ready = house.ocsp.shortcut.answer(asked)
            assert (routed.content, routed.headers["content-type"]) == (
                ready.body,
                ready.content_type,
            )
            headers = dict(ready.headers)
            assert headers == {name: routed.headers[name] for name in headers}
            cached = routed.headers["cache-control"] != "no-store"
            assert cached == ("cache-control" in headers)


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("make", [post, get])
def test_what_was_looked_up_is_at_hand(house, record, make):
    """The second time; it is counted like any other."""
    asked = make(write_request([house.cert_id(record)]))
    shortcut = house.ocsp.shortcut
    assert shortcut.at_hand(asked) is None

    answered = shortcut.answer(asked)

    assert answered == shortcut.at_hand(asked)
    assert 2 == house.ocsp.counts.answers()[0].value


def test_nothing_is_at_hand_after_a_commit(house, record, counting):
    """A revocation by anybody is one."""
    asked = post(write_request([house.cert_id(record)]))
    house.ocsp.shortcut.answer(asked)
    assert house.ocsp.shortcut.at_hand(asked)

    house.revoke(record)
    with counting():
        pass

    assert house.ocsp.shortcut.at_hand(asked) is None
    assert "revoked" == status(house.ocsp.shortcut.answer(asked))
    assert "revoked" == status(house.ocsp.shortcut.at_hand(asked))


def test_a_commit_during_the_look_counts_as_later(house, record, counting, monkeypatch):
    """Or a revocation in that moment would be missed."""
    asked = post(write_request([house.cert_id(record)]))
    look = house.ocsp.door.post

    def slowly(*arguments):
        answer = look(*arguments)
        house.revoke(record)
        with counting():
            return answer

    monkeypatch.setattr(type(house.ocsp.door), "post", lambda _, *arguments: slowly(*arguments))
    assert "good" == status(house.ocsp.shortcut.answer(asked))

    assert house.ocsp.shortcut.at_hand(asked) is None


@pytest.mark.usefixtures("counting")
def test_nothing_is_at_hand_for_long(house, record):
    """Headers tell seconds, and what is due shall be made anew."""
    asked = get(write_request([house.cert_id(record)]))
    house.ocsp.shortcut.answer(asked)

    house.server.clock.advance(timedelta(seconds=10))

    assert house.ocsp.shortcut.at_hand(asked) is None


@pytest.mark.usefixtures("counting")
def test_only_what_is_for_everybody_is_at_hand(house, record):
    """Neither a nonce, nor several certificates, nor an error, nor what may change soon."""
    cert_id = house.cert_id(record)
    requests = [
        write_request([cert_id], b"n" * 16),
        write_request([cert_id] * 2),
        write_request([house.stranger()]),
        b"nonsense",
    ]

    for octets in requests:
        assert house.ocsp.shortcut.answer(post(octets))
        assert house.ocsp.shortcut.at_hand(post(octets)) is None


@pytest.mark.usefixtures("counting")
def test_large_requests_are_not_remembered(house, record):
    """Nobody fills the memory with them."""
    padded = write_request(
        [house.cert_id(record)], extensions=[write_extension("1.2.3", bytes(600))]
    )
    assert "good" == status(house.ocsp.shortcut.answer(post(padded)))

    assert house.ocsp.shortcut.at_hand(post(padded)) is None


def test_memory_of_requests_is_bounded(make_house, monkeypatch):
    """The one that is there for longest goes."""
    house = make_house(answers_in_memory=100)
    monkeypatch.setattr(house.server.database, "commits", lambda: 1)
    asked = [post(write_request([house.cert_id(house.issue(str(n)))])) for n in range(101)]
    for one in asked:
        house.ocsp.shortcut.answer(one)

    assert house.ocsp.shortcut.at_hand(asked[0]) is None
    assert house.ocsp.shortcut.at_hand(asked[1])


def test_without_a_count_of_commits_nothing_is_at_hand(house, record, monkeypatch):
    """Over a network it would take too long to ask; and the database may be away."""
    asked = post(write_request([house.cert_id(record)]))
    house.ocsp.shortcut.answer(asked)
    assert house.ocsp.shortcut.at_hand(asked) is None

    def fail():
        raise StorageUnavailable("it is away")

    monkeypatch.setattr(house.server.database, "commits", fail)
    assert house.ocsp.shortcut.answer(asked)
    assert house.ocsp.shortcut.at_hand(asked) is None


@pytest.mark.usefixtures("counting")
def test_conditions_are_for_the_routes(house, record):
    """304 is theirs."""
    octets = write_request([house.cert_id(record)])
    house.ocsp.shortcut.answer(get(octets))

    for name in ("IF_NONE_MATCH", "IF_MODIFIED_SINCE"):
        asked = get(octets, **{name: '"x"'})
        assert house.ocsp.shortcut.at_hand(asked) is None
        assert house.ocsp.shortcut.answer(asked) is None


def test_errors_are_answered_too(house):
    """An error of OCSP is a success of HTTP."""
    ready = house.ocsp.shortcut.answer(post(b"nonsense"))

    assert (ResponseStatus.MALFORMED_REQUEST, None) == read_response(ready.body)
