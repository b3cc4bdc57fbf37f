"""Kills, full and read-only disks, locks and cut lines: what was acknowledged stays."""

import fcntl
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import ConfigurationError, StorageUnavailable
from pikaserver.storage import audit, turnstile
from pikaserver.storage.database import open_database, server_lock
from pikaserver.storage.tables import job_lease

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
WRITER = Path(__file__).with_name("writer.py")
DISK = Path(__file__).with_name("disk.py")
ROOT = Path(__file__).parents[2]
KILLS = 8


def add(database, name, then=lambda: None):
    with database.transaction() as connection:
        connection.execute(insert(job_lease).values(name=name, holder="h", until=MOMENT))
        then()


def names(database):
    with database.reading() as connection:
        return set(connection.execute(select(job_lease.c.name)).scalars())


@contextmanager
def writer(url, threads):
    """Run the writing process; it is killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, WRITER, url, str(threads)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_killed_process_loses_nothing_that_it_acknowledged(url):
    """Kill -9 at any moment: every row that was told is there, and the audit chain is whole."""
    dice = random.Random(1)  # noqa: S311 - a reproducible mix
    told = set()
    for _ in range(KILLS):
        with writer(url, threads=6) as process:
            told |= {process.stdout.readline().strip() for _ in range(dice.randrange(1, 150))}
            process.kill()
            told |= {line.strip() for line in process.stdout}

    database = open_database(url)

    assert told
    assert set() == told - names(database)
    with database.reading() as connection:
        report = audit.verify(connection)
    assert report.problem is None
    assert report.records == len(names(database))
    database.close()


def test_two_processes_write_at_once(url):
    """A command line beside a running server: both get through, nobody is locked out."""
    with writer(url, threads=3) as one, writer(url, threads=3) as two:
        told = {process.stdout.readline().strip() for _ in range(100) for process in (one, two)}
        for process in (one, two):
            assert process.poll() is None
            process.kill()

    database = open_database(url)

    assert set() == told - names(database)
    with database.reading() as connection:
        assert audit.verify(connection).problem is None
    database.close()


# Root may write everywhere; without this capability it meets file modes like anybody.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []


@pytest.mark.parametrize(
    ("fault", "wrapper"),
    [
        ("limited", []),
        ("full", ["unshare", "--user", "--map-root-user", "--mount"]),
        ("read_only", UNPRIVILEGED),
    ],
)
def test_a_bad_disk_is_told_and_forgotten(fault, wrapper, sqlite_template, tmp_path):
    """The sentence names the cause; nothing acknowledged is lost; it works again afterwards."""
    if wrapper and subprocess.run([*wrapper, "true"], check=False).returncode:
        pytest.skip(f"this machine does not allow {wrapper[0]}")

    done = subprocess.run(
        [*wrapper, sys.executable, DISK, fault, sqlite_template, tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )

    assert "ok\n" == done.stdout + done.stderr


def test_who_waits_to_write_goes_next(sqlite_url):
    """A busy server does not starve a command line, nor a long import the server."""
    database = open_database(sqlite_url, patience=20)
    with writer(sqlite_url, threads=6) as busy:
        assert busy.stdout.readline()
        for number in range(20):
            add(database, f"between-{number}")
        assert busy.poll() is None
        assert busy.stdout.readline()

    assert {f"between-{number}" for number in range(20)} < names(database)
    database.close()


def test_a_stopped_process_is_passed_by(sqlite_url, tmp_path, monkeypatch):
    """One that holds its place in the queue, and does nothing, stops nobody."""
    monkeypatch.setattr(turnstile, "_PATIENCE_SECONDS", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    database = open_database(sqlite_url)
    add(database, "a")

    os.close(descriptor)
    assert {"a"} == names(database)
    database.close()


def test_nobody_waits_forever_for_a_lock(sqlite_url, tmp_path):
    """Another process that holds the file gets its time, then the caller gets a sentence."""
    database = open_database(sqlite_url, patience=0.1)
    intruder = sqlite3.connect(tmp_path / "pikaserver.db", isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match="another process holds the database"):
        add(database, "a")
    intruder.execute("ROLLBACK")
    intruder.close()

    add(database, "b")
    assert {"b"} == names(database)
    database.close()


def test_a_server_that_stops_is_told_and_forgotten(postgres, postgres_url):
    """After a restart of PostgreSQL the next transaction works; nothing half is left."""
    database = open_database(postgres_url)
    add(database, "a")
    names(database)
    with pytest.raises(StorageUnavailable, match="connection"):
        add(database, "lost", then=postgres.stop)
    try:
        with pytest.raises(StorageUnavailable, match="connection to the database server"):
            add(database, "b")
        with pytest.raises(StorageUnavailable, match="connection to the database server"):
            names(database)
    finally:
        postgres.start()

    add(database, "c")

    assert {"a", "c"} == names(database)
    database.close()


def test_a_line_cut_at_the_commit_is_told(postgres, postgres_url):
    """The caller does not believe in what may be lost; here it is."""
    database = open_database(postgres_url)
    event.listen(database.engine, "commit", lambda _connection: postgres.stop(), once=True)

    with pytest.raises(StorageUnavailable, match="connection to the database server"):
        add(database, "a")
    postgres.start()

    add(database, "b")
    assert {"b"} == names(database)
    database.close()


def test_a_server_that_was_restarted_meanwhile_is_not_noticed(postgres, postgres_url):
    """Idle connections that it closed are replaced before anybody uses them."""
    database = open_database(postgres_url)
    add(database, "a")
    names(database)
    postgres.stop()
    postgres.start()

    add(database, "b")

    assert {"a", "b"} == names(database)
    database.close()


def test_one_server_per_folder(tmp_path):
    """A second one stops at its start and says who runs; the kernel frees a dead one's lock."""
    with (
        server_lock(tmp_path),
        pytest.raises(ConfigurationError, match=f"process {os.getpid()}"),
        server_lock(tmp_path),
    ):
        pass

    with server_lock(tmp_path):
        pass


def test_only_the_owner_reads_the_file(tmp_path):
    """Names of certificates are no secret, but sealed keys lie beside them."""
    database = open_database(f"sqlite:///{tmp_path}/new.db")

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    assert {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600} == modes
    database.close()


def test_secrets_stay_out_of_error_texts(database):
    """SQLAlchemy would quote the parameters of a statement that failed."""
    add(database, "a")
    row = {"name": "a", "holder": "h", "until": MOMENT, "last_error": "a-secret"}
    with pytest.raises(IntegrityError) as caught, database.transaction() as connection:
        connection.execute(insert(job_lease).values(row))

    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://host/name", "use sqlite or postgresql"),
        ("no url", "not the URL of a database"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file?mode=ro", "must name a file"),
    ],
)
def test_a_wrong_url_stops_the_start(url, says):
    """The sentence tells what to write instead."""
    with pytest.raises(ConfigurationError, match=says):
        open_database(url)
