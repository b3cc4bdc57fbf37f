"""Two processes with one PostgreSQL: their groups never wait for each other in a ring."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from pikaserver.storage import clock
from pikaserver.storage.database import open_database
from pikaserver.storage.tables import job_lease, metadata

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
SECONDS = 60


@pytest.fixture
def databases(postgres):
    """Two processes' worth of connections to one database, with a row for each of two names."""
    url = postgres.url(postgres.create_database())
    opened = [open_database(url), open_database(url)]
    metadata.create_all(opened[0].engine)
    with opened[0].transaction() as connection:
        for name in ("left", "right"):
            connection.execute(insert(job_lease).values(name=name, holder="h", until=MOMENT))
    yield opened
    for database in opened:
        database.close()


def touch(connection, name, holder):
    connection.execute(update(job_lease).where(job_lease.c.name == name).values(holder=holder))


class Process:
    """Two blocks of one process: the second one waits for the first and joins its group."""

    def __init__(self, database, *names):
        self._database = database
        self._inside, self._go = threading.Event(), threading.Event()
        self.faults = []
        self._threads = [
            threading.Thread(target=self._first, args=(names[0],)),
            threading.Thread(target=self._second, args=(names[1],)),
        ]
        self._threads[0].start()
        assert self._inside.wait(SECONDS)
        self._threads[1].start()
        while not database._waiting:  # noqa: SLF001 - nothing else tells who waits
            threading.Event().wait(0.001)

    def _first(self, name):
        with self._noting(), self._database.transaction() as connection:
            touch(connection, name, "first")
            self._inside.set()
            self._go.wait(SECONDS)

    def _second(self, name):
        with self._noting(), self._database.transaction() as connection:
            touch(connection, name, "second")

    def _noting(self):
        return Noting(self.faults)

    def go(self):
        """Let the first block end, which leaves the COMMIT to the second."""
        self._go.set()

    def join(self):
        for thread in self._threads:
            thread.join(SECONDS)


class Noting:
    """Keeps what a block raised."""

    def __init__(self, faults):
        self._faults = faults

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _traceback):
        if error is not None:
            self._faults.append(error)
        return True


def test_groups_that_lock_rows_crosswise_all_end(databases):
    """A ring would cost a second and one of the groups, which is a request for each member."""
    processes = [
        Process(databases[0], "left", "right"),
        Process(databases[1], "right", "left"),
    ]

    for process in processes:
        process.go()
    for process in processes:
        process.join()

    assert [[], []] == [process.faults for process in processes]


def test_nobody_waits_for_another_node_to_note_the_time(databases):
    """One row for all nodes is written each second; whoever finds it locked goes on."""
    with databases[0].transaction() as connection:
        clock.guard(connection, MOMENT, timedelta(minutes=1))

    with databases[0].transaction() as connection:
        clock.guard(connection, MOMENT + timedelta(seconds=10), timedelta(minutes=1))
        with databases[1].transaction() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = 200")
            clock.guard(other, MOMENT + timedelta(seconds=20), timedelta(minutes=1))

    with databases[1].reading() as connection:
        assert MOMENT + timedelta(seconds=10) == clock.seen(connection)
