"""The job runner over real leases in a real database."""

from datetime import timedelta

from pikaserver.api.operations import Job
from pikaserver.jobs import JobRunner
from pikaserver.storage import leases
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.testing.clock import FrozenClock


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
