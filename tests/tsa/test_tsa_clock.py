"""A time-stamp with a wrong time is worse than none."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.operations import Alarm, HealthState
from pikaserver.asn1.tst_info import read_tst_info
from pikaserver_tsa import storage
from pikaserver_tsa.station import Station
from pikaserver_tsa.trusted_clock import ClockInDoubt
from tests.tsa.station import House, failure_of, query, token_of


def alarms(house):
    return [one.name for one in house.server.events if isinstance(one, Alarm)]


def seen(house):
    with house.server.database.reading() as connection:
        return storage.last_seen(connection)


def note(house, node, at):
    with house.server.database.transaction() as connection:
        storage.see(connection, node, at)


@pytest.fixture
def legacy():
    """A request of Authenticode."""
    return b"MCMGCisGAQQBgjcDAgEwFQYJKoZIhvcNAQcBoAgEBnNlY3JldA=="


@pytest.mark.parametrize("step", [timedelta(seconds=5), -timedelta(seconds=5)])
def test_a_step_stops_stamping_until_the_clock_settled(house, step):
    """Told as timeNotAvailable, announced once, and visible in the readiness."""
    house.post(query())
    house.step(step)

    assert "TIME_NOT_AVAILABLE" in failure_of(house.post(query()))
    assert "watched" in failure_of(house.post(query()))
    assert HealthState.DEGRADED is house.station.clock.health().state
    assert ["tsa.clock"] == alarms(house)
    house.pass_by(seconds=61)
    token_of(house.post(query()))
    assert HealthState.OK is house.station.clock.health().state


def test_a_second_step_is_watched_anew(house):
    """And announced, too."""
    house.post(query())
    for _ in range(2):
        house.step(timedelta(seconds=30))
        assert "stepped by +30.0 s" in failure_of(house.post(query()))

    house.pass_by(seconds=59)
    assert "watched" in failure_of(house.post(query()))
    assert ["tsa.clock"] * 2 == alarms(house)


def test_the_readiness_notices_a_step_by_itself(house):
    """Nobody has to ask for a time-stamp before; when it settled, that is told, too."""
    house.post(query())
    house.step(timedelta(minutes=1))

    assert "stepped by +60.0 s" in house.station.clock.health().detail
    assert ["tsa.clock"] == alarms(house)
    house.pass_by(minutes=2)
    assert HealthState.OK is house.station.clock.health().state


def test_a_legacy_request_is_told_by_the_status(house, legacy):
    """Authenticode has no words for it: 503, and when to ask again."""
    assert 200 == house.post(legacy, kind="application/octet-stream").status_code
    house.step(timedelta(minutes=1))

    answer = house.post(legacy, kind="application/octet-stream")

    assert (503, True) == (answer.status_code, "retry-after" in answer.headers)


def test_a_clock_behind_what_was_stamped_is_refused_after_a_restart(house):
    """What any node stamped is remembered in the database."""
    house.post(query())
    house.server.clock.advance(-timedelta(hours=1))
    after_a_restart = Station(house.server)

    with pytest.raises(ClockInDoubt, match="stamped already"):
        after_a_restart.clock.now()
    assert "stamped already" in after_a_restart.clock.health().detail
    assert ["tsa.clock"] == alarms(house)


def test_what_another_node_stamps_meanwhile_counts(house):
    """A node that is behind notices it within a second; nothing of its own is stored."""
    house.post(query())
    ahead = house.server.clock() + timedelta(minutes=5)
    note(house, 2, ahead)
    house.pass_by(seconds=2)

    assert "stamped already" in failure_of(house.post(query()))
    assert ahead == seen(house)
    house.pass_by(minutes=5)
    token_of(house.post(query()))


def test_an_accepted_clock_needs_no_restart(house):
    """The command forgets what was stamped; the server that runs asks again."""
    note(house, 1, house.server.clock() + timedelta(days=1))
    assert "stamped already" in failure_of(house.post(query()))

    with house.server.database.transaction() as connection:
        storage.forget(connection)

    token_of(house.post(query()))
    assert house.server.clock() == seen(house)


def test_what_is_remembered_never_goes_back(house):
    """Two processes of one node, a server and a command, write the same row."""
    now = house.server.clock()
    note(house, 1, now)

    note(house, 1, now - timedelta(seconds=3))

    assert now == seen(house)


def test_it_is_remembered_once_a_second(house):
    """A durable commit for each stamp would make it slow."""
    writes = []
    transaction = house.server.database.transaction
    house.server.database.transaction = lambda: writes.append(1) or transaction()

    for _ in range(25):
        token_of(house.post(query()))
        house.pass_by(milliseconds=100)

    assert 3 == len(writes)


def test_a_database_that_is_away_stops_stamping(house, monkeypatch):
    """P8: the time cannot be remembered, so none is given; the node stays in service."""

    def away():
        raise StorageUnavailable("the line is cut")

    house.post(query())
    house.pass_by(seconds=2)
    for deed in ("reading", "transaction"):
        monkeypatch.setattr(house.server.database, deed, away)

    assert "SYSTEM_FAILURE; the line is cut" in failure_of(house.post(query()))
    assert HealthState.DEGRADED is Station(house.server).clock.health().state
    monkeypatch.undo()
    token_of(house.post(query()))


def test_a_slow_drift_within_the_tolerance_is_no_step(house):
    """NTP slews a clock by little at a time."""
    for _ in range(5):
        house.pass_by(seconds=10)
        house.ticks.off += 0.1
        token_of(house.post(query()))


def test_ordered_stamps_go_on_where_the_clock_goes_back_a_little():
    """Within the tolerance: each is later than the one before all the same."""
    house = House(ordering=True)
    before = read_tst_info(token_of(house.post(query())).content)
    house.step(-timedelta(milliseconds=500))

    after = read_tst_info(token_of(house.post(query())).content)

    assert before.at < after.at


def test_ordered_stamps_are_later_than_those_before_a_restart():
    """What was stamped within the last second is not stored; until it is over, no time is sure."""
    house = House(ordering=True)
    house.post(query())
    house.pass_by(seconds=0.9)
    before = read_tst_info(token_of(house.post(query())).content).at
    house.step(-timedelta(seconds=0.5))
    anew = Station(house.server).clock
    anew.monotonic = house.ticks

    with pytest.raises(ClockInDoubt, match="before the start"):
        anew.now(strictly_later=True)

    assert anew.now() < before
    house.pass_by(seconds=0.7)
    assert anew.now(strictly_later=True) > before
    assert [] == alarms(house)


def test_ordered_stamps_are_later_than_those_of_others_between():
    """Authorities without an order have the same clock, which may go back a little."""
    house = House(ordering=True)
    first = read_tst_info(token_of(house.post(query())).content).at
    house.step(-timedelta(seconds=0.5))
    token_of(house.post(query(), "/tsa/root"))
    house.pass_by(seconds=0.1)

    assert read_tst_info(token_of(house.post(query())).content).at > first
