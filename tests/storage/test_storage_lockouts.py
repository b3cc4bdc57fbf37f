"""Counting wrong attempts, for all nodes together."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from pikaserver.api.errors import TooManyRequests
from pikaserver.storage.lockout_table import lockout
from pikaserver.storage.lockouts import SharedLockouts
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.fake_parts import FakeDatabase


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def database():
    return FakeDatabase()


@pytest.fixture
def guesses(database, clock):
    return SharedLockouts(database, clock).named("door", 3)


def fail(guesses, times, key="a"):
    for _ in range(times):
        guesses.failed(key)


def test_the_last_allowed_failure_locks_for_a_minute(guesses, clock):
    """Two failures cost nothing, the third one a minute, and not a second more."""
    fail(guesses, 2)
    guesses.check("a")
    fail(guesses, 1)

    with pytest.raises(TooManyRequests) as refused:
        guesses.check("a")

    assert 60 == refused.value.retry_after
    clock.advance(timedelta(seconds=60))
    guesses.check("a")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(4, 120), (5, 240), (6, 480), (7, 900), (99, 900)]
)
def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(
    guesses, failures, seconds
):
    """Guessing gets slower, and a person who mistyped is never locked out for long."""
    fail(guesses, failures)

    with pytest.raises(TooManyRequests) as refused:
        guesses.check("a")

    assert seconds == refused.value.retry_after


def test_one_key_does_not_lock_another(guesses):
    """A guesser locks itself only."""
    fail(guesses, 9)

    guesses.check("b")


def test_a_success_forgets_the_failures_before(guesses):
    """Whoever gets it right starts anew."""
    fail(guesses, 2)
    guesses.succeeded("a")
    fail(guesses, 2)

    guesses.check("a")


def test_a_quiet_quarter_of_an_hour_forgets_the_failures(guesses, clock):
    """Mistakes of yesterday do not count today."""
    fail(guesses, 2)
    clock.advance(timedelta(minutes=15))
    fail(guesses, 1)

    guesses.check("a")


def test_every_node_knows_what_was_tried_at_another(database, clock, guesses):
    """Who asks two nodes in turn has no more guesses than who asks one."""
    elsewhere = SharedLockouts(database, clock).named("door", 3)
    fail(guesses, 2)
    fail(elsewhere, 1)

    for node in (guesses, elsewhere):
        with pytest.raises(TooManyRequests):
            node.check("a")


def test_each_door_counts_for_itself(database, clock, guesses):
    """A device that fails at one door may still be known at another."""
    fail(guesses, 9)

    SharedLockouts(database, clock).named("another", 3).check("a")


def test_guesses_at_the_same_moment_are_all_counted(guesses):
    """Neither of two threads overwrites what the other has counted."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(guesses.failed, ["a"] * 7))

    with pytest.raises(TooManyRequests) as refused:
        guesses.check("a")

    assert 900 == refused.value.retry_after


def test_what_was_quiet_for_long_is_thrown_out(database, guesses, clock):
    """However many keys are tried, the table holds half an hour of them."""
    for number in range(10):
        guesses.failed(str(number))
    clock.advance(timedelta(minutes=15))
    guesses.failed("last")

    with database.reading() as connection:
        assert 1 == connection.scalar(select(func.count()).select_from(lockout))


def test_a_success_without_failures_writes_nothing(database, guesses):
    """The usual request costs no commit."""
    database.transaction = None

    guesses.succeeded("a")
