"""Jobs run when they are due, on one node at a time, and never stop the others."""

import logging
import threading
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.errors import NotFound, StorageUnavailable
from pikaserver.api.operations import Job
from pikaserver.jobs import LEASE, LONGEST_WAIT, RENEWAL, RETRY, JobRunner
from pikaserver.storage.leases import Lease
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.patience import SECONDS

HOUR = timedelta(hours=1)


class FakeLeases:
    """Leases in memory, shared by several runners; also their database."""

    def __init__(self):
        self.rows = {}
        self.broken = False

    @contextmanager
    def transaction(self):
        """See ``pikaserver.api.storage.Database``."""
        if self.broken:
            raise StorageUnavailable("the disk is full")
        yield None

    def acquire(self, connection, name, holder, now, until):
        """See ``pikaserver.jobs.Leases``."""
        row = self.rows.get(name, Lease(name, holder, now, None, None))
        if row.holder != holder and row.until > now:
            return False
        self.rows[name] = replace(row, holder=holder, until=until)
        return True

    def release(self, connection, name, holder, *, at, error):
        """See ``pikaserver.jobs.Leases``."""
        row = self.rows[name]
        if row.holder == holder:
            self.rows[name] = replace(row, until=at, last_run_at=at, last_error=error)
        return row.holder == holder

    def list(self, connection):
        """See ``pikaserver.jobs.Leases``."""
        return list(self.rows.values())


class Inline(Executor):
    """A pool that works at once, in the caller's thread."""

    def submit(self, function, /, *arguments, **options):
        """See ``concurrent.futures.Executor``."""
        function(*arguments, **options)
        return Future()


class House:
    """Leases, a clock, and runners of one job that counts its runs."""

    def __init__(self):
        self.leases = FakeLeases()
        self.clock = FrozenClock()
        self.runs = []

    def runner(self, holder="node-1", *, every=HOUR, run=None):
        """Make the runner of one node."""
        job = Job("tidy", every, run or (lambda: self.runs.append(holder)))
        return JobRunner(self.leases, self.leases, self.clock, [job], holder, Inline())


@pytest.fixture
def house():
    return House()


def test_a_job_runs_at_start_and_then_once_per_period(house):
    """Between two runs nothing happens, however often the clock is looked at."""
    runner = house.runner()

    runner.tick()
    house.clock.advance(HOUR - timedelta(seconds=1))
    runner.tick()
    house.clock.advance(timedelta(seconds=1))
    runner.tick()

    assert 2 == len(house.runs)
    assert house.clock() == house.leases.rows["tidy"].last_run_at


def test_the_wait_ends_at_the_next_run_and_is_never_long(house):
    """A step of the clock is noticed soon."""
    runner = house.runner(every=timedelta(seconds=2))

    first = runner.tick()
    second = house.runner("node-2").tick()

    assert timedelta(seconds=2) == first
    assert LONGEST_WAIT == second


def test_two_nodes_run_each_period_once(house):
    """The second node sees in the database that the first one was there."""
    one, two = house.runner("one"), house.runner("two")

    for runner in (one, two, two, one):
        runner.tick()
    house.clock.advance(HOUR)
    for runner in (two, one):
        runner.tick()

    assert ["one", "two"] == house.runs


def test_a_restarted_node_does_not_repeat_a_period(house):
    """A daily job stays a daily one on a server that restarts every hour."""
    house.runner("before").tick()

    house.runner("after").tick()

    assert ["before"] == house.runs


def test_a_job_that_another_node_runs_is_left_alone(house):
    """Until its lease has ended, which a crashed node cannot renew."""
    runner = house.runner("two")
    house.leases.acquire(None, "tidy", "crashed", house.clock(), house.clock() + LEASE)

    runner.tick()
    house.clock.advance(RETRY)
    runner.tick()
    before = list(house.runs)
    house.clock.advance(LEASE)
    runner.tick()

    assert [] == before
    assert ["two"] == house.runs


def test_a_failing_job_is_logged_stored_and_run_again(house, caplog):
    """Its error is for the operator; the runner goes on."""
    error = ValueError("postgresql://u:canary@h is away")
    runner = house.runner(run=lambda: house.runs.append("tried") or fail(error))
    runner.tick()
    house.clock.advance(HOUR)
    runner.tick()

    assert ["tried", "tried"] == house.runs
    stored = house.leases.rows["tidy"].last_error
    assert stored.startswith("ValueError: ")
    assert "canary" not in stored
    assert ["tidy", "tidy"] == [record.job for record in caplog.records]
    assert {logging.ERROR} == {record.levelno for record in caplog.records}


def test_a_good_run_clears_the_error(house):
    """What is stored is how the last run ended."""
    outcomes = [ValueError("once")]
    runner = house.runner(run=lambda: outcomes and fail(outcomes.pop()))
    runner.tick()
    house.clock.advance(HOUR)

    runner.tick()

    assert house.leases.rows["tidy"].last_error is None


def fail(error):
    raise error


def test_jobs_wait_while_the_database_is_away(house, caplog):
    """And run soon after it is back."""
    runner = house.runner()
    house.leases.broken = True
    runner.tick()
    house.leases.broken = False

    runner.tick()
    before = list(house.runs)
    house.clock.advance(RETRY)
    runner.tick()

    assert [] == before
    assert ["node-1"] == house.runs
    assert ["the disk is full"] == [record.error for record in caplog.records]


def test_run_now_does_not_wait_for_the_period(house):
    """A revocation wants a CRL at once, on whichever node it happened."""
    one, two = house.runner("one"), house.runner("two")
    one.tick()
    two.tick()

    two.run_now("tidy")
    wait = two.tick()

    assert ["one", "two"] == house.runs
    assert wait > timedelta()


def test_run_now_is_not_forgotten_while_another_node_runs_the_job(house):
    """What that node read may be older than the wish."""
    runner = house.runner("two")
    runner.tick()
    house.leases.acquire(None, "tidy", "one", house.clock(), house.clock() + LEASE)

    runner.run_now("tidy")
    runner.tick()
    house.leases.release(None, "tidy", "one", at=house.clock(), error=None)
    house.clock.advance(RETRY)
    runner.tick()

    assert ["two", "two"] == house.runs


def test_run_now_during_a_run_means_once_more(house):
    """The job has already read what it works on."""

    def run():
        house.runs.append("run")
        if len(house.runs) == 1:
            runner.run_now("tidy")

    runner = house.runner(run=run)

    assert timedelta() == runner.tick()
    runner.tick()
    runner.tick()

    assert 2 == len(house.runs)


def test_an_unknown_job_is_refused(house):
    """A misspelt name must not be lost in silence."""
    with pytest.raises(NotFound, match="there is no job 'tidi'"):
        house.runner().run_now("tidi")


def test_a_clock_that_was_set_back_delays_nothing(house):
    """A last run in the future counts for nothing, nor does a next one beyond the period."""
    runner = house.runner()
    runner.tick()
    house.clock.advance(-24 * HOUR)

    runner.tick()
    runner.tick()

    assert ["node-1", "node-1"] == house.runs


def test_a_long_run_keeps_its_lease_and_is_not_started_twice(house):
    """Its lease is renewed while it works, in threads as they are in real life."""
    begun, end = threading.Event(), threading.Event()

    def run():
        house.runs.append("run")
        begun.set()
        assert end.wait(SECONDS)

    job = Job("tidy", timedelta(seconds=1), run)
    runner = JobRunner(house.leases, house.leases, house.clock, [job], "node-1")
    runner.tick()
    assert begun.wait(SECONDS)
    house.clock.advance(RENEWAL)

    runner.tick()
    renewed_until = house.leases.rows["tidy"].until
    end.set()
    runner.stop()

    assert house.clock() + LEASE == renewed_until
    assert ["run"] == house.runs
    assert house.clock() == house.leases.rows["tidy"].last_run_at


def test_the_thread_runs_what_is_due_and_stops(house):
    """``stop`` returns when the last job has ended; nothing starts afterwards."""
    ran = threading.Event()
    job = Job("tidy", HOUR, ran.set)
    runner = JobRunner(house.leases, house.leases, house.clock, [job], "node-1")

    runner.start()
    assert ran.wait(SECONDS)
    ran.clear()
    runner.run_now("tidy")
    assert ran.wait(SECONDS)
    runner.stop()
    ran.clear()
    runner.run_now("tidy")

    assert not ran.is_set()
    assert not [t for t in threading.enumerate() if t.name.startswith("job")]
