"""A number that moves with every change of agents, keys, codes and nodes: cheap to look at."""

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import Connection, Insert, Table, bindparam, select, update
from sqlalchemy.dialects import sqlite

from pikaserver.api.prepared import Prepared
from pikaserver_agents.storage.tables import revision

_ONLY = 1
_NUMBER = Prepared(select(revision.c.number).where(revision.c.id == bindparam("only")))
_ADVANCE = update(revision).where(revision.c.id == _ONLY).values(number=revision.c.number + 1)


def number(connection: Connection) -> int:
    """Return the number as it is."""
    return _NUMBER.number(connection, {"only": _ONLY})


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
    inserting = _inserting(connection.dialect.name, table, tuple(row), returning=True)
    return inserting.yields(connection, row)


def insert_what_is_not_there(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows, at least one, but for those that have a unique value which is taken."""
    inserting = _inserting(connection.dialect.name, table, tuple(rows[0]), returning=False)
    inserting.run_many(connection, rows)


@cache
def _inserting(dialect: str, table: Table, _names: tuple[str, ...], *, returning: bool) -> Prepared:
    """Return what inserts rows but for those that have a unique value which is taken.

    Each set of columns has a text of its own.
    """
    inserting: Insert
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - large, and only needed there

        inserting = postgresql.insert(table).on_conflict_do_nothing()
    else:
        inserting = sqlite.insert(table).on_conflict_do_nothing()
    key = next(iter(table.primary_key.columns))
    return Prepared(inserting.returning(key) if returning else inserting.inline())
