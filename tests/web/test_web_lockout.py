"""Counting wrong attempts."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import TooManyRequests
from pikaserver.testing.clock import FrozenClock
from pikaserver.web import lockout
from pikaserver.web.lockout import Lockout


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def guesses(clock):
    return Lockout(clock, allowed=3)


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


def test_memory_is_bounded_and_the_oldest_goes_first(guesses, monkeypatch):
    """However many keys are tried, only so many are kept."""
    monkeypatch.setattr(lockout, "_MOST_KEYS", 10)
    fail(guesses, 3, "oldest")
    for number in range(10):
        fail(guesses, 3, str(number))

    guesses.check("oldest")

    with pytest.raises(TooManyRequests):
        guesses.check("0")
