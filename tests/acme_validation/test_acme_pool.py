"""The queue and the threads: bounded, one node at a time, and nothing lost."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.patience import until
from pikaserver_acme.storage.tables import attempt, metadata, validation
from pikaserver_acme.validation import queue
from pikaserver_acme.validation.pool import Bench, Pool, Sizes
from pikaserver_acme.validation.question import Verdict
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import BEYOND_ATTEMPTS, Validation
from tests.acme_validation.challenges import StoredChallenges
from tests.acme_validation.tokens import DIGEST

NAME = "_acme-challenge.www.example.org"
RECORD = f'"{DIGEST}"'


@pytest.fixture
def server():
    """Give a server whose database has the plugin's tables."""
    made = FakeServer()
    with made.database.transaction() as connection:
        metadata.create_all(connection)
    return made


@pytest.fixture
def open_validation(server):
    """Return a function that starts validators, which stop with the test."""
    started = []

    def start(challenges, **sizes):
        one = Validation(server, challenges, ValidationSettings(**sizes))
        one.start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()


def rows(server):
    """Return what stands in the queue."""
    with server.database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(validation))]


def lines(server):
    """Return what attempts left behind."""
    with server.database.reading() as connection:
        return list(connection.execute(select(attempt.c.number, attempt.c.line)))


def test_a_challenge_is_validated_and_leaves_the_queue(server, dns, ask, open_validation):
    """The usual course."""
    challenges = StoredChallenges(server.database)
    challenges.add(ask("dns-01"), 1)
    dns.add(NAME, "TXT", RECORD)
    validators = open_validation(challenges)

    validators.begin(1)

    assert challenges.wait(1)[0].valid
    until(lambda: not rows(server), "leaving the queue")
    (metric, *_) = validators.metrics()
    assert [(("type", "dns-01"), ("outcome", "valid"))] == [one.labels for one in metric.read()]


def test_a_failure_is_tried_again_as_often_as_the_policy_says(server, dns, ask, open_validation):
    """The record appears between two attempts; the first one's lines are kept."""
    challenges = StoredChallenges(server.database)
    challenges.add(ask("dns-01", limits={"retry_seconds": 0}), 1)
    dns.turns[NAME, "TXT"] = [["x"], ["y"], [RECORD]]

    open_validation(challenges).begin(1)

    assert challenges.wait(1)[0].valid
    assert {1, 2, 3} == {number for number, _ in lines(server)}
    assert any("holds 'x'" in line for _, line in lines(server))


def test_the_last_attempt_is_the_verdict(server, ask, open_validation):
    """And its lines are kept like those of the others."""
    challenges = StoredChallenges(server.database)
    challenges.add(ask("dns-01", limits={"retry_seconds": 0, "attempts": 2}), 1)

    open_validation(challenges).begin(1)

    (verdict,) = challenges.wait(1)
    assert "unauthorized" == verdict.error
    assert list(verdict.log) == [line for number, line in lines(server) if number == 2]


def test_what_was_begun_before_a_crash_goes_on(server, dns, ask, open_validation):
    """One was at work, one waited in memory, one had not even a row."""
    challenges = StoredChallenges(server.database)
    challenges.add(ask("dns-01"), 1, 2, 3)
    dns.add(NAME, "TXT", RECORD)
    now = server.clock()
    lease = queue.Lease(server.node, now, now + timedelta(hours=1))
    with server.database.transaction() as connection:
        queue.enter(connection, 1, lease, take=True)
        queue.enter(connection, 2, lease, take=False)

    open_validation(challenges)

    assert all(one.valid for one in challenges.wait(1, 2, 3))


def test_another_node_takes_what_a_dead_node_held(server, dns, ask, open_validation):
    """When its lease is over, and not before."""
    challenges = StoredChallenges(server.database)
    challenges.add(ask("dns-01"), 1)
    dns.add(NAME, "TXT", RECORD)
    now = server.clock()
    with server.database.transaction() as connection:
        queue.enter(connection, 1, queue.Lease(2, now, now + timedelta(minutes=1)), take=True)
        ours = queue.Lease(1, now, now + timedelta(minutes=1))
        assert [] == queue.due(connection, now, 10)
        assert queue.claim(connection, 1, ours) is None
    open_validation(challenges)

    server.clock.advance(timedelta(minutes=2))

    assert challenges.wait(1)[0].valid


def test_two_nodes_never_make_the_same_attempt(server):
    """One conditional statement decides."""
    challenges = StoredChallenges(server.database)
    challenges.questions[1] = None
    now = server.clock()
    with server.database.transaction() as connection:
        queue.enter(connection, 1, queue.Lease(1, now, now), take=False)
        until_then = now + timedelta(minutes=1)
        turns = [queue.claim(connection, 1, queue.Lease(n, now, until_then)) for n in (1, 2)]

        assert [queue.Turn(1, 1), None] == turns
        assert queue.enter(connection, 1, queue.Lease(2, now, until_then), take=True) is None


def test_a_challenge_that_ends_the_process_each_time_is_given_up(server, ask, open_validation):
    """It is settled without another look."""
    challenges = StoredChallenges(server.database)
    question = ask("dns-01")
    challenges.add(question, 1)
    many = question.limits.attempts + BEYOND_ATTEMPTS
    with server.database.transaction() as connection:
        connection.execute(insert(validation).values(challenge_id=1, attempts=many, due_at=0))

    open_validation(challenges)

    (verdict,) = challenges.wait(1)
    assert ("serverInternal", "validation was interrupted too often") == (
        verdict.error,
        verdict.detail,
    )


def test_what_cannot_be_answered_any_more_leaves_the_queue(server, open_validation):
    """The client has deactivated the authorization meanwhile."""
    challenges = StoredChallenges(server.database)
    with server.database.transaction() as connection:
        connection.execute(insert(validation).values(challenge_id=1, attempts=0, due_at=0))

    open_validation(challenges)

    until(lambda: not rows(server), "leaving the queue")
    assert {} == challenges.verdicts


def test_a_fault_of_ours_is_told_as_one(server, ask, open_validation, monkeypatch):
    """No challenge waits for ever, and no thread ends."""
    challenges = StoredChallenges(server.database)
    validators = open_validation(challenges, workers=1)
    monkeypatch.setattr(validators, "validate", lambda _question: 1 / 0)
    # Those that are there before the threads begin may be looked at before all is in place.
    challenges.add(ask("dns-01", limits={"attempts": 1}), 1, 2)

    validators.begin(1)
    validators.begin(2)

    wanted = Verdict("serverInternal", "validation failed inside the server")
    assert [wanted, wanted] == challenges.wait(1, 2)


def test_no_more_than_so_many_at_a_time(server):
    """What is beyond waits in memory, then in the database, and comes to its turn."""
    gate, running, most = threading.Semaphore(0), [], []

    def make(turn):
        running.append(turn.challenge_id)
        most.append(len(running))
        gate.acquire()
        running.remove(turn.challenge_id)

    challenges = StoredChallenges(server.database)
    assert challenges.verdicts == {}
    pool = Pool(Bench(server.database, server.clock, 1), Sizes(2, 3), make)
    pool.start()
    try:
        for number in range(1, 9):
            pool.begin(number)
        until(lambda: len(running) == 2, "two at work")
        assert 5 == pool.held
        assert 3 == sum(node is None for _, _, _, node, _ in rows(server))
        gate.release(8)
        until(lambda: not rows(server), "the end")
        assert 2 == max(most)
    finally:
        pool.stop()
