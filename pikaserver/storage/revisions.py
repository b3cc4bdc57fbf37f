"""Numbers that grow with each change, by which every process knows when its cache is stale."""

from sqlalchemy import Connection, bindparam, insert, select, update

from pikaserver.api.prepared import Prepared
from pikaserver.storage.tables import revision

CONFIGURATION = "configuration"
"""Grows whenever an authority or a template changes."""

_READ = Prepared(select(revision.c.number).where(revision.c.name == bindparam("revision_name")))


def number(connection: Connection, name: str = CONFIGURATION) -> int:
    """Return how often this part has changed."""
    return _READ.number(connection, {"revision_name": name})


def advance(connection: Connection, name: str = CONFIGURATION) -> None:
    """Count one more change, in the transaction that makes it."""
    statement = update(revision).where(revision.c.name == name)
    if connection.execute(statement.values(number=revision.c.number + 1)).rowcount == 0:
        connection.execute(insert(revision).values(name=name, number=1))
