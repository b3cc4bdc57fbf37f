"""A number that moves with every change of agents, keys, codes and nodes: cheap to look at."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Insert, Table, select, update
from sqlalchemy.dialects import sqlite

from pikaserver_agents.storage.tables import revision

_ONLY = 1
_NUMBER = select(revision.c.number).where(revision.c.id == _ONLY)
_ADVANCE = update(revision).where(revision.c.id == _ONLY).values(number=revision.c.number + 1)


def number(connection: Connection) -> int:
    """Return the number as it is."""
    return connection.scalar(_NUMBER) or 0


def advance(connection: Connection) -> None:
    """Let every node see that something has changed; until the end others wait for us here.

    So a change that two nodes may make at once begins with it, and sees what the other one did.
    """
    if connection.execute(_ADVANCE).rowcount:
        return
    if not insert_unless_there(connection, revision, {"id": _ONLY, "number": 1}):
        connection.execute(_ADVANCE)


def insert_unless_there(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    """Insert a row unless one of its unique values is taken; tell whether it was inserted."""
    # A driver need not count inserted rows; a row that comes back was inserted.
    key = next(iter(table.primary_key.columns))
    inserting = _inserting(connection, table).values(dict(row)).returning(key)
    return connection.execute(inserting).one_or_none() is not None


def insert_what_is_not_there(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows, at least one, but for those that have a unique value which is taken."""
    connection.execute(_inserting(connection, table), [dict(row) for row in rows])


def _inserting(connection: Connection, table: Table) -> Insert:
    """Return what inserts rows but for those that have a unique value which is taken."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - large, and only needed there

        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
