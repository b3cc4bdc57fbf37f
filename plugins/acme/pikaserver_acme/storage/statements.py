"""Writing that decides: one conditional statement, and whether it found its row.

What every order asks is prepared: SQLAlchemy's own way to the driver costs more than the answer.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Select, Table
from sqlalchemy.dialects import sqlite

from pikaserver.api.prepared import Prepared

Row = dict[str, Any]


class Asked:
    """A question that is asked often; its rows come by the names of their columns."""

    def __init__(self, statement: Select[Any]) -> None:
        self._prepared = Prepared(statement)
        self._names = [column.name for column in statement.selected_columns]

    def all(self, connection: Connection, **values: object) -> list[Row]:
        """Return every row."""
        rows = self._prepared.rows(connection, values)
        return [dict(zip(self._names, row, strict=True)) for row in rows]

    def one(self, connection: Connection, **values: object) -> Row | None:
        """Return the row, if there is one."""
        found = self.all(connection, **values)
        return found[0] if found else None


def changed(connection: Connection, statement: Executable) -> bool:
    """Run an update or a deletion and tell whether it touched a row."""
    return connection.execute(statement).rowcount > 0


def insert(connection: Connection, table: Table, row: Mapping[str, object]) -> int:
    """Insert a row and return its number."""
    return _inserting_one(table, tuple(row)).number(connection, row)


@cache
def _inserting_one(table: Table, _names: tuple[str, ...]) -> Prepared:
    """Return the statement for rows of these columns; each set of them has a text of its own."""
    return Prepared(table.insert().returning(table.c.id))


def insert_unless_there(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    """Insert a row unless one of its unique values is taken; tell whether it was inserted."""
    # A driver need not count inserted rows; a row that comes back was inserted.
    statement = _inserting_new(connection.dialect.name, table, tuple(row))
    return statement.yields(connection, row)


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows; none at all is well, too."""
    if rows:
        connection.execute(table.insert(), [dict(row) for row in rows])


@cache
def _inserting_new(dialect: str, table: Table, _names: tuple[str, ...]) -> Prepared:
    key = next(iter(table.primary_key.columns))
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - large, and only needed there

        return Prepared(postgresql.insert(table).on_conflict_do_nothing().returning(key))
    return Prepared(sqlite.insert(table).on_conflict_do_nothing().returning(key))
