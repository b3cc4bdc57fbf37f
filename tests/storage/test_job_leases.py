"""The job runner over real leases in a real database."""

from datetime import timedelta

from pikaserver.api.operations import Job
from pikaserver.jobs import JobRunner
from pikaserver.storage import leases
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.testing.clock import FrozenClock


def test_a_node_that_starts_need_not_wait_for_its_own_dead_process(tmp_path):
    """Only for those of other nodes, which may be alive."""
    database = open_database(f"sqlite:///{tmp_path}/pikaserver.db")
    upgrade(database.engine)
    now, until = FrozenClock()(), FrozenClock()() + timedelta(minutes=1)
    holders = {"crl": "1@here:7", "tidy": "11@there:7", "done": "1@here:6"}
    with database.transaction() as connection:
        for name, holder in holders.items():
            leases.acquire(connection, name, holder, now, until)
        leases.release(connection, "done", "1@here:6", at=now)

        assert 1 == leases.take_over(connection, "1@", now)

        assert leases.acquire(connection, "crl", "1@here:8", now, until)
        assert not leases.acquire(connection, "tidy", "1@here:8", now, until)
    database.close()


def test_two_nodes_share_a_job_through_the_database(tmp_path):
    """One of them runs it per period, and how it ended is stored."""
    database = open_database(f"sqlite:///{tmp_path}/pikaserver.db")
    upgrade(database.engine)
    clock, runs = FrozenClock(), []

    def run(node):
        runs.append(node)
        raise ValueError("out of luck")

    for node in ("one", "two", "three"):
        job = Job("tidy", timedelta(hours=1), lambda node=node: run(node))
        runner = JobRunner(database, leases, clock, [job], node)
        runner.tick()
        runner.stop()
        clock.advance(timedelta(minutes=40))

    with database.reading() as connection:
        (lease,) = leases.list(connection)
    database.close()
    assert ["one", "three"] == runs
    assert ("three", "ValueError: out of luck") == (lease.holder, lease.last_error)
