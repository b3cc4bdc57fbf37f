"""One writer, many threads: what a ``transaction()`` block may rely on."""

import random
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from pikaserver.api.errors import StorageUnavailable
from pikaserver.storage.database import open_database
from pikaserver.storage.tables import job_lease
from pikaserver.testing.patience import SECONDS

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
THREADS = 16
ROUNDS = 200


def add(connection, name):
    connection.execute(insert(job_lease).values(name=name, holder="h", until=MOMENT))


def names(database):
    with database.reading() as connection:
        return set(connection.execute(select(job_lease.c.name)).scalars())


def fail(error):
    if error is not None:
        raise error


class Commits:
    """Counts the COMMITs of a database and breaks those that a test names."""

    def __init__(self, database):
        self.count = 0
        self.broken = lambda _number: False
        event.listen(database.engine, "commit", self._commit)

    def _commit(self, connection):
        self.count += 1
        if self.broken(self.count):
            raise OperationalError("COMMIT", {}, ConnectionError("the test cuts it"))


class Member(threading.Thread):
    """A thread that stays inside its block until the test lets it go."""

    def __init__(self, database, name, error=None):
        super().__init__(daemon=True)
        self.database, self.row, self.error = database, name, error
        self.inside, self.go = threading.Event(), threading.Event()
        self.outcome = "running"
        self.start()

    def run(self):
        """Add one row and end as the test wants it."""
        try:
            with self.database.transaction() as connection:
                self.inside.set()
                self.go.wait(SECONDS)
                add(connection, self.row)
                fail(self.error)
        except (ValueError, KeyError, IntegrityError, StorageUnavailable) as error:
            self.outcome = type(error).__name__
        else:
            self.outcome = "kept"

    def finish(self):
        """Let it go, wait for its end and tell how that was."""
        self.go.set()
        self.join(SECONDS)
        return self.outcome


@pytest.fixture
def line_up(database):
    """Start members of one group: the first is inside, the others wait behind it."""

    def start(*members):
        first = Member(database, *members[0])
        assert first.inside.wait(SECONDS)
        others = [Member(database, *member) for member in members[1:]]
        deadline = threading.Event()
        while database._waiting < len(others):  # noqa: SLF001 - nothing else tells who waits
            deadline.wait(0.001)
        return [first, *others]

    return start


def test_members_of_a_group_become_durable_by_one_commit(database, line_up):
    """Whoever finds somebody waiting leaves the COMMIT to the last one."""
    commits = Commits(database)
    members = line_up(("a",), ("b",), ("c",))
    for member in members:
        member.go.set()

    outcomes = [member.finish() for member in members]

    assert ["kept"] * 3 == outcomes
    assert 1 == commits.count
    assert {"a", "b", "c"} == names(database)


def test_an_exception_takes_back_its_own_block_only(database, line_up):
    """One member's mistake is nobody else's, wherever it stands in the group."""
    members = line_up(("a",), ("b", ValueError()), ("c",), ("d", KeyError()))
    for member in members:
        member.go.set()

    outcomes = [member.finish() for member in members]

    assert ["kept", "ValueError", "kept", "KeyError"] == outcomes
    assert {"a", "c"} == names(database)


def test_a_failed_commit_is_told_to_every_member(database, line_up):
    """Nobody believes what is not durable, not even who was refused because of it."""
    commits = Commits(database)
    commits.broken = lambda number: number == 1
    members = line_up(("a",), ("b", ValueError()), ("c",))
    for member in members:
        member.go.set()

    outcomes = [member.finish() for member in members]

    assert "StorageUnavailable" == outcomes[0]
    assert "StorageUnavailable" == outcomes[2]
    assert outcomes[1] in {"StorageUnavailable", "ValueError"}
    assert set() == names(database)
    assert "kept" == Member(database, "later").finish()


def test_a_duplicate_row_is_refused_and_the_group_goes_on(database, line_up):
    """A broken constraint ends a block, not the group."""
    members = line_up(("a",), ("a",), ("b",))
    for member in members:
        member.go.set()

    outcomes = [member.finish() for member in members]

    assert ["IntegrityError", "kept", "kept"] == sorted(outcomes)
    assert {"a", "b"} == names(database)


def test_a_block_may_try_and_catch_in_a_nested_savepoint(database):
    """SQLAlchemy's own savepoints work inside ours."""
    with database.transaction() as connection:
        add(connection, "a")
        with pytest.raises(IntegrityError), connection.begin_nested():
            add(connection, "a")
        add(connection, "b")

    assert {"a", "b"} == names(database)


def test_reading_inside_a_transaction_sees_what_is_durable(database):
    """The reader has a connection of its own, and it does not write."""
    with database.transaction() as connection:
        add(connection, "a")
        assert set() == names(database)

    assert {"a"} == names(database)
    with pytest.raises(StorageUnavailable, match="read-only"), database.reading() as connection:
        add(connection, "b")


def test_a_transaction_inside_a_transaction_is_a_mistake(database):
    """It would wait for itself; the outer one goes on unharmed."""
    with database.transaction() as connection:
        add(connection, "a")
        with pytest.raises(RuntimeError, match="pass the connection"), database.transaction():
            pass

    assert {"a"} == names(database)


@pytest.mark.parametrize("deed", ["commit", "rollback"])
def test_a_block_that_ends_the_transaction_is_a_mistake(database, deed):
    """It would end it for others, too; the next block works as ever."""
    with pytest.raises(RuntimeError, match="must not"), database.transaction() as connection:
        getattr(connection, deed)()

    assert "kept" == Member(database, "a").finish()


def test_a_view_for_reading_stays_as_it_was(database):
    """What another thread commits meanwhile shows in the next view."""
    with database.reading() as connection:
        connection.execute(select(job_lease.c.name)).all()
        Member(database, "a").finish()
        assert [] == connection.execute(select(job_lease.c.name)).all()

    assert {"a"} == names(database)


def test_whoever_waits_too_long_gets_an_answer(url):
    """A stuck block does not pile up threads behind it; it can still end well."""
    database = open_database(url, patience=0.05)
    stuck = Member(database, "a")
    assert stuck.inside.wait(SECONDS)

    with pytest.raises(StorageUnavailable, match="too long"), database.transaction():
        pass

    assert "kept" == stuck.finish()
    database.close()


def test_a_group_that_everybody_left_is_committed(database):
    """The waiting thread for which the COMMIT was left may have given up."""
    database._waiting = 1  # noqa: SLF001 - a thread that gives up at the wrong moment

    assert "kept" == Member(database, "a").finish()
    assert {"a"} == names(database)


def test_every_commit_of_any_process_changes_the_number(database, url):
    """A server sees that a command line revoked something."""
    other = open_database(url)
    seen = database.changes()

    assert "kept" == Member(other, "a").finish()
    after_other = database.changes()
    assert "kept" == Member(database, "b").finish()

    assert len({seen, after_other, database.changes()}) == 3
    other.close()


def test_what_returns_is_kept_and_nothing_else(url):
    """Sixteen threads, some mistaken, some COMMITs cut: what was told is what is stored."""
    database = open_database(url)
    commits = Commits(database)
    commits.broken = lambda number: number % 11 == 5
    told = {"kept": set(), "ValueError": set(), "StorageUnavailable": set()}

    def work(thread):
        dice = random.Random(thread)  # noqa: S311 - a reproducible mix
        for number in range(ROUNDS):
            name = f"{thread}-{number}"
            try:
                with database.transaction() as connection:
                    add(connection, name)
                    fail(ValueError(name) if dice.random() < 0.2 else None)
            except (ValueError, StorageUnavailable) as error:
                told[type(error).__name__].add(name)
            else:
                told["kept"].add(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    reopened = open_database(url)

    assert told["kept"] == names(reopened)
    assert THREADS * ROUNDS == sum(len(some) for some in told.values())
    assert all(told.values())
    assert commits.count < THREADS * ROUNDS
    reopened.close()
