"""What is wrong with the database, told from the driver's error in one sentence."""

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pikaserver.api.errors import StorageUnavailable

_READ_ONLY = "the database file, its -wal or -shm file, or its folder is read-only"
_BUSY = "another process holds the database for too long"
_SQLITE = {
    sqlite3.SQLITE_FULL: "the disk that holds the database is full",
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "the database file or its folder cannot be opened",
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_IOERR: "the disk that holds the database cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the database file is not a database; restore it from a backup",
}
_LOST = "the connection to the database server is lost"
_POSTGRESQL = {  # by SQLSTATE, or by its class of two letters
    "08": _LOST,
    "53": "the database server is out of disk space, memory or connections",
    "57": "the database server is starting, stopping or was told to cancel",
    "58": "the database server cannot read or write its disk",
    "28": "the database server refuses our user",
    "3D": "the database server has no database of this name",
    "25006": "the database server accepts no changes: it is read-only or a standby",
    "55P03": _BUSY,
    "40001": "another process changed the same rows at the same moment",
    "40P01": "another process changed the same rows at the same moment",
}


def unavailable(error: BaseException) -> StorageUnavailable | None:
    """Return what to raise when the database cannot work now, ``None`` for any other error."""
    if isinstance(error, PoolTimeout):
        return StorageUnavailable("too many requests read from the database at once")
    sentence = _sentence(error)
    return StorageUnavailable(sentence) if sentence else None


def commit_failed(error: BaseException) -> StorageUnavailable:
    """Return what every member of a group gets whose COMMIT failed."""
    known = unavailable(error)
    return known or StorageUnavailable("the database could not make the change durable")


def is_duplicate(error: IntegrityError) -> bool:
    """Tell a unique value that is taken from other broken constraints."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    unique = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
    return code in unique or getattr(error.orig, "sqlstate", None) == "23505"


def _sentence(error: BaseException) -> str | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # The low octet is the primary code; the rest says where it happened.
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    lost = isinstance(error, DBAPIError) and (
        error.connection_invalidated or type(cause).__name__ == "OperationalError"
    )
    return _LOST if lost else None
