"""The reproducible clock and randomness."""

from datetime import timedelta

from pikaserver.testing.clock import CountedEntropy, FrozenClock


def test_a_frozen_clock_moves_only_when_told():
    """Two readings agree; an advance is seen to the microsecond."""
    clock = FrozenClock()
    before = clock()

    clock.advance(timedelta(microseconds=1))

    assert before + timedelta(microseconds=1) == clock() == clock()
    assert timedelta(0) == clock().utcoffset()


def test_counted_entropy_repeats_from_run_to_run_but_not_within_one():
    """Equal seeds give equal answers in order, and no answer twice."""
    first, again, other = CountedEntropy(), CountedEntropy(), CountedEntropy("other")

    answers = [first(16) for _ in range(100)]

    assert answers == [again(16) for _ in range(100)]
    assert 100 == len({*answers})
    assert not {*answers} & {other(16) for _ in range(100)}


def test_counted_entropy_gives_so_many_octets():
    """Any number of octets, none included."""
    assert [0, 1, 1000] == [len(CountedEntropy()(octets)) for octets in (0, 1, 1000)]


def test_the_fixtures_are_there(pikaserver_clock, pikaserver_entropy):
    """The pytest plugin is loaded and its fixtures are the public fakes."""
    assert FrozenClock()() == pikaserver_clock()
    assert CountedEntropy()(8) == pikaserver_entropy(8)
