"""Connections for reading that are kept between requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine


class Readers:
    """Open connections of one engine: to take one from its pool costs more than a short query."""

    def __init__(self, engine: Engine, is_alive: Callable[[Connection], bool]) -> None:
        self._engine = engine
        self._is_alive = is_alive
        self._idle: list[Connection] = []

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a connection that nobody else uses; its view ends with the block."""
        connection = self._take()
        try:
            yield connection
            connection.rollback()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def close(self) -> None:
        """Give back what nobody uses now."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _take(self) -> Connection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if self._is_alive(connection):
                    return connection
                connection.invalidate()
                connection.close()
        return self._engine.connect()
