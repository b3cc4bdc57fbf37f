"""Connections to SQLite and PostgreSQL, set up so that a commit is durable."""

import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from select import POLLIN, poll
from threading import Lock
from typing import Final

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from pikaserver.api.errors import ConfigurationError, StorageUnavailable
from pikaserver.storage.faults import unavailable
from pikaserver.storage.turnstile import Turnstile

# Parameters may be secrets; they stay out of error texts.
_WRITER: Final = {"poolclass": NullPool, "hide_parameters": True}
_READER: Final = {
    "pool_size": 16,
    "max_overflow": 32,
    "pool_use_lifo": True,
    "hide_parameters": True,
}

# Blocks of several threads lock rows in any order.  Two processes that both keep the rows of one
# block while they wait for those of the next would wait for each other; so only one may.
_GROWING = 0x70696B61
_MAY_GROW = text(f"SELECT pg_try_advisory_xact_lock({_GROWING})")
_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS text)")


@dataclass(frozen=True, slots=True)
class Engines:
    """One engine that writes, one that reads, and a number that moves with every commit."""

    writer: Engine
    reader: Engine
    changes: Callable[[], int]
    close: Callable[[], None]
    alive: Callable[[DBAPIConnection], bool]
    """Whether the other end of an idle connection is still there."""
    may_grow: Callable[[Connection], bool]
    """Whether the transaction of one block may take in more of them."""
    embedded: bool
    """Whether the database is a file of this machine and not a server."""


def engines(url: str, patience: float) -> Engines:
    """Return the engines of a database URL; nothing is created but an empty SQLite file.

    Args:
        url: ``sqlite:////path/file.db`` or ``postgresql://user@host/name``.
        patience: how many seconds to wait for a lock that another process holds.

    Raises:
        ConfigurationError: the URL is none of these.
        StorageUnavailable: the file cannot be made.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("database.url is not the URL of a database") from error
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, patience)
        case "postgresql":
            return _postgresql(parsed.set(drivername="postgresql+psycopg"), patience)
        case other:
            raise ConfigurationError(f"database.url names {other!r}; use sqlite or postgresql")


def _sqlite(url: URL, patience: float) -> Engines:
    if not url.database or url.database == ":memory:" or url.query:
        raise ConfigurationError("database.url must name a file: sqlite:////path/pikaserver.db")
    path = Path(url.database)
    _create_file(path)
    arguments = {"check_same_thread": False, "timeout": patience}
    writer = create_engine(url, **_WRITER, connect_args=arguments, paramstyle="named")
    reader = create_engine(
        url, **_READER, connect_args=arguments, paramstyle="named", pool_timeout=patience
    )
    event.listen(writer, "connect", _prepare_sqlite_writer)
    event.listen(reader, "connect", _prepare_sqlite_reader)
    turnstile = Turnstile(path.parent)
    # SQLAlchemy's event for this runs a whole execution of its own each time.
    writer.dialect.do_begin = turnstile.begin  # type: ignore[method-assign]  # see above
    reader.dialect.do_begin = _begin  # type: ignore[method-assign]  # see above
    changes = _SqliteChanges(path)

    def close() -> None:
        changes.close()
        turnstile.close()
        reader.dispose()
        writer.dispose()

    return Engines(writer, reader, changes, close, _always, _always, embedded=True)


def _always(_connection: object) -> bool:
    return True


def _create_file(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite gives its WAL the same rights."""
    # An existing file is not opened: closing it would drop the locks of this process on it.
    if path.exists():
        return
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be created: {error.strerror}") from error


def _prepare_sqlite_writer(driver: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    driver.isolation_level = None  # sqlite3 shall not begin and commit on its own
    (mode,) = driver.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError(f"the disk of the database allows no WAL (it keeps {mode!r})")
    driver.execute("PRAGMA synchronous=FULL")
    driver.execute("PRAGMA foreign_keys=ON")
    driver.execute("PRAGMA cache_size=-32768")  # KiB: indexes of random serials are wide
    driver.execute("PRAGMA temp_store=MEMORY")  # else each savepoint writes a file of its own
    driver.execute("PRAGMA wal_autocheckpoint=4000")
    driver.execute("PRAGMA journal_size_limit=67108864")


def _prepare_sqlite_reader(driver: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    driver.isolation_level = None
    driver.execute("PRAGMA query_only=ON")


def _begin(dbapi_connection: PoolProxiedConnection) -> None:
    dbapi_connection.cursor().execute("BEGIN")


class _SqliteChanges:
    """``PRAGMA data_version`` of one connection that never writes: it sees every commit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    def __call__(self) -> int:
        with self._lock:
            try:
                return self._version()
            except sqlite3.Error as error:
                raise unavailable(error) or error from error

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _version(self) -> int:
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, check_same_thread=False, isolation_level=None
            )
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version


# Stricter values than "on" stay; only the one that loses commits is refused.
_SYNCHRONOUS = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


def _postgresql(url: URL, patience: float) -> Engines:
    milliseconds = int(patience * 1000)
    arguments = {"connect_timeout": max(2, int(patience))}
    try:
        writer = create_engine(url, **_WRITER, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "PostgreSQL needs psycopg: install pikaserver[postgres]"
        ) from error
    reader = create_engine(
        url,
        **_READER,
        pool_timeout=patience,
        connect_args=arguments,
        isolation_level="REPEATABLE READ",  # one snapshot for the whole block
    )
    limit = f"SET lock_timeout = {milliseconds}"
    event.listen(writer, "connect", _statements(_SYNCHRONOUS, limit))
    event.listen(reader, "checkout", _refuse_dead)
    event.listen(reader, "connect", _statements("SET default_transaction_read_only = on"))

    def changes() -> int:
        # A commit takes its transaction out of the snapshot for good, so the text cannot recur.
        try:
            with reader.connect() as connection:
                snapshot: str = connection.execute(_SNAPSHOT).scalar_one()
        except SQLAlchemyError as error:
            raise unavailable(error) or error from error
        return zlib.crc32(snapshot.encode())

    def close() -> None:
        reader.dispose()
        writer.dispose()

    return Engines(writer, reader, changes, close, _alive, _may_grow, embedded=False)


def _may_grow(connection: Connection) -> bool:
    return bool(connection.execute(_MAY_GROW).scalar_one())


def _alive(driver: DBAPIConnection) -> bool:
    """Ask the kernel, not the server: whoever hangs up an idle line makes it readable."""
    idle = poll()
    try:
        idle.register(driver.fileno(), POLLIN)
    except driver.Error:
        return False
    return not idle.poll(0)


def _refuse_dead(
    driver: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    if not _alive(driver):
        raise DisconnectionError  # the pool opens a fresh one


def _statements(*statements: str) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    def prepare(driver: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = driver.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        driver.commit()

    return prepare
