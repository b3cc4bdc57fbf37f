"""What can be told of a database, and how it is copied."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import make_url

from pikaserver.api.errors import ConfigurationError, Conflict, StorageUnavailable
from pikaserver.cli.invocation import Invocation
from pikaserver.cli.opened import migrations
from pikaserver.cli.output import Record
from pikaserver.secrecy import without_secrets
from pikaserver.storage import audit
from pikaserver.storage.database import EmbeddedOrServer
from pikaserver.storage.migrations.environment import state

_PAGES_AT_ONCE = 1000


def place(invocation: Invocation) -> Record:
    """Return which database it is."""
    url = invocation.settings().host.database.url
    file = sqlite_file(url)
    return {
        "kind": make_url(url).get_backend_name(),
        "place": without_secrets(str(file or url)),
        "octets": file.stat().st_size if file and file.exists() else None,
    }


def sqlite_file(url: str) -> Path | None:
    """Return the file of an embedded database, ``None`` for one behind a server."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def branches(invocation: Invocation, database: EmbeddedOrServer) -> list[Record]:
    """Return the revision of each branch of the schema."""
    return [
        {
            "branch": branch.branch,
            "state": "up to date" if branch.up_to_date else "needs 'db upgrade'",
            "revision": branch.current,
            "wanted": branch.wanted,
        }
        for branch in state(database.engine, migrations(invocation))
    ]


def problems(database: EmbeddedOrServer) -> list[str]:
    """Return what is damaged, in a sentence each."""
    found: list[str] = []
    with database.reading() as connection:
        if connection.dialect.name == "sqlite":
            answers = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
            found += [f"database file: {answer}" for answer in answers if answer != "ok"]
            for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
                found.append(f"row {row[1]} of table {row[0]} refers to what is not there")
        problem = audit.verify(connection).problem
    return found if problem is None else [*found, f"audit trail: {problem}"]


def copy_database(invocation: Invocation, target: Path) -> int:
    """Copy a SQLite database as it is at one moment, and return the copy's size in octets.

    The copy is there as a whole or not at all, and only its owner can read it.

    Raises:
        ConfigurationError: it is no SQLite database, or the copy cannot be written.
        Conflict: the target exists.
        StorageUnavailable: the database cannot be read.
    """
    source = sqlite_file(invocation.settings().host.database.url)
    if source is None:
        raise ConfigurationError("this is a PostgreSQL database: use pg_dump for a backup")
    if not source.exists():
        raise ConfigurationError(f"there is no database {source} yet: 'pikaserver up' makes it")
    if target.exists():
        raise Conflict(f"{target} exists already; it is not overwritten")
    draft = target.with_name(f"{target.name}.draft")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError(f"{draft} cannot be written: {error.strerror}") from error
    try:
        _copy(source, draft)
        _sync(draft)
        draft.rename(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise StorageUnavailable(f"the copy failed: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, draft: Path) -> None:
    reader = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
    writer = sqlite3.connect(draft)
    try:
        reader.backup(writer, pages=_PAGES_AT_ONCE)
        # A copy with a log beside it would be two files.
        writer.execute("PRAGMA journal_mode=DELETE")
        (answer,) = writer.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise sqlite3.DatabaseError(answer)
    finally:
        writer.close()
        reader.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
