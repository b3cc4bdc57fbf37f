"""The database: one writer whose commits are grouped, many readers, one server per folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, get_ident
from time import monotonic

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from pikaserver.api.errors import ConfigurationError, StorageUnavailable
from pikaserver.api.prepared import Prepared
from pikaserver.storage.engines import Engines, engines
from pikaserver.storage.faults import commit_failed, unavailable
from pikaserver.storage.groups import Group
from pikaserver.storage.readers import Readers

# PostgreSQL remembers 64 subtransactions per transaction cheaply; more slow every reader down.
_MEMBERS = 60
# How long a kept member waits before it looks whether somebody is left to commit.
_LOOK_AGAIN_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
_SAVEPOINT = Prepared(text("SAVEPOINT member"))


class EmbeddedOrServer:
    """Durable storage in an embedded SQLite file or in a PostgreSQL server.

    One connection writes.  Threads take turns on it; each turn is a savepoint, and the last
    one that finds nobody waiting commits for all before it.  So a slow disk costs one flush
    per group, not per block, and a single thread never waits for company.  A block returns,
    or raises, only when what it saw is durable.
    """

    def __init__(self, opened: Engines, patience: float) -> None:
        self._engines = opened
        self._readers = Readers(opened.reader, self._is_alive)
        self._patience = patience
        self._turn = Lock()
        self._counting = Lock()
        self._waiting = 0
        self._owner: int | None = None
        self._connection: Connection | None = None
        self._group: Group | None = None
        self._fault: tuple[float, str] | None = None

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._engines.writer

    def changes(self) -> int:
        """Return the number of `commits`, even where it takes a call over the network."""
        return self._engines.changes()

    def commits(self) -> int | None:
        """See ``pikaserver.api.storage.Database``."""
        return self._engines.changes() if self._engines.embedded else None

    def last_fault(self) -> tuple[float, str] | None:
        """Return how many seconds ago a transaction was not kept last, and why."""
        return None if self._fault is None else (monotonic() - self._fault[0], self._fault[1])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See ``pikaserver.api.storage.Database``; the connection refuses to write."""
        try:
            with self._readers.connection() as connection:
                yield connection
        except SQLAlchemyError as error:
            if fault := unavailable(error):
                raise fault from error
            raise

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See ``pikaserver.api.storage.Database``.

        A connection that breaks during the COMMIT leaves its outcome open: the caller gets
        StorageUnavailable, and the change may still be found later.

        Raises:
            RuntimeError: this thread is inside ``transaction()`` already.
        """
        try:
            with self._block() as connection:
                yield connection
        except StorageUnavailable as fault:
            self._fault = (monotonic(), str(fault))
            raise

    @contextmanager
    def _block(self) -> Iterator[Connection]:
        group = self._take_turn()
        try:
            yield group.connection
            group.check()
        except BaseException as error:
            try:
                self._undo(group, error)
            finally:
                self._give_turn(group)
            if fault := unavailable(error):
                raise fault from error
            raise
        group.kept += 1
        self._give_turn(group)

    def close(self) -> None:
        """Close every connection, once running transactions ended; a later use opens them anew."""
        with self._turn:
            if self._group is not None:
                self._commit(self._group)
            self._drop_connection()
        self._readers.close()
        self._engines.close()

    def _take_turn(self) -> Group:
        if self._owner == get_ident():
            raise RuntimeError("transaction() inside transaction(): pass the connection instead")
        with self._counting:
            self._waiting += 1
        try:
            acquired = self._turn.acquire(timeout=self._patience)
        finally:
            with self._counting:
                self._waiting -= 1
        if not acquired:
            raise StorageUnavailable("another request holds the database for too long")
        try:
            group = self._join()
        except BaseException:
            self._turn.release()
            raise
        self._owner = get_ident()
        return group

    def _join(self) -> Group:
        """Return the open group with a fresh savepoint, or a new group."""
        try:
            if self._group is not None and not self._may_grow(self._group):
                self._commit(self._group)
            if self._group is None:
                self._group = self._begin()
            else:
                # Released by the COMMIT; one of the same name hides it until then.
                _SAVEPOINT.run(self._group.connection, {})
        except SQLAlchemyError as error:
            if self._group is not None:
                self._fail(self._group, error)
            self._drop_connection()
            if fault := unavailable(error):
                raise fault from error
            raise
        return self._group

    def _may_grow(self, group: Group) -> bool:
        """Tell whether a group may take in another block; another process may be the one to."""
        group.grows = group.grows or self._engines.may_grow(group.connection)
        return group.grows

    def _begin(self) -> Group:
        if self._connection is not None and not self._is_alive(self._connection):
            self._drop_connection()
        if self._connection is None:
            self._connection = self._engines.writer.connect()
        return Group(self._connection, self._connection.begin())

    def _is_alive(self, connection: Connection) -> bool:
        return not connection.invalidated and self._engines.alive(connection.connection)

    def _undo(self, group: Group, cause: BaseException) -> None:
        """Take back this block; the first one of a group needs no savepoint for that."""
        try:
            if group.kept:
                group.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT member")
                return
            self._group = None
            group.connection.rollback()
        except Exception as error:  # noqa: BLE001 - whatever it was, every member is told
            # A full disk ends the transaction at once; then there is nothing to go back to.
            self._fail(group, cause if unavailable(cause) else error)

    def _give_turn(self, group: Group) -> None:
        """Commit or leave it to those who wait; return when the group is durable.

        Raises:
            StorageUnavailable: the group was not kept.
        """
        try:
            if not self._waiting or group.kept >= _MEMBERS:
                self._commit(group)
            ended = self._end_of(group)
        finally:
            self._owner = None
            self._turn.release()
        while ended is not None and not ended.wait(_LOOK_AGAIN_SECONDS):
            # Whoever was waiting may have given up; then the commit is ours.
            with self._turn:
                self._commit(group)
        if group.error is not None:
            raise commit_failed(group.error) from group.error

    def _end_of(self, group: Group) -> Event | None:
        """Return what tells that a group ended; nothing if it did."""
        if group is self._group and group.ended is None:
            group.ended = Event()
        return group.ended

    def _commit(self, group: Group) -> None:
        if group is not self._group:
            return
        try:
            group.transaction.commit()
        except BaseException as error:
            self._fail(group, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._end(group)

    def _fail(self, group: Group, error: BaseException) -> None:
        group.error = error
        self._drop_connection()
        self._end(group)

    def _end(self, group: Group) -> None:
        self._group = None
        if group.ended is not None:
            group.ended.set()

    def _drop_connection(self) -> None:
        """Forget a connection in an unknown state; closing it rolls back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def open_database(url: str, *, patience: float = _PATIENCE_SECONDS) -> EmbeddedOrServer:
    """Open a database and make sure that it answers.

    Args:
        url: ``sqlite:////path/file.db`` or ``postgresql://user@host/name``.
        patience: how many seconds to wait for a lock before StorageUnavailable.

    Raises:
        ConfigurationError: the URL is wrong, or its driver is not installed.
        StorageUnavailable: the database cannot be reached or written.
    """
    database = EmbeddedOrServer(engines(url, patience), patience)
    with database.transaction():
        pass
    return database


@contextmanager
def server_lock(folder: Path) -> Iterator[None]:
    """Hold the right to be the one server of a data folder; the kernel frees it at any end.

    Raises:
        ConfigurationError: another server runs on this folder.
        StorageUnavailable: the folder cannot be written.
    """
    path = folder / "server.lock"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be created: {error.strerror}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        raise ConfigurationError(f"a server (process {holder}) runs on {folder} already") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
