"""The table of visits: the only place that knows its columns."""

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from pikaserver.api.errors import Conflict

metadata = MetaData()

caller = Table(
    "visits_caller",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("visits", Integer, nullable=False),
)


def count(connection: Connection, name: str, most: int) -> int:
    """Count one more visit and return how many there were.

    Raises:
        Conflict: there were as many as there may be.
    """
    one_more = (
        update(caller)
        .where(caller.c.name == name, caller.c.visits < most)
        .values(visits=caller.c.visits + 1)
    )
    # One statement decides, and its row count tells: two requests cannot both be the last one.
    if connection.execute(one_more).rowcount == 1:
        return connection.scalars(select(caller.c.visits).where(caller.c.name == name)).one()
    if connection.scalar(select(caller.c.visits).where(caller.c.name == name)) is not None:
        raise Conflict(f"{name!r} came by {most} times already")
    connection.execute(insert(caller).values(name=name, visits=1))
    return 1


def callers(connection: Connection) -> Sequence[RowMapping]:
    """Return names and numbers, the most frequent caller first."""
    return connection.execute(select(caller).order_by(caller.c.visits.desc())).mappings().all()


def forget(connection: Connection, name: str) -> None:
    """Begin anew with a caller, if there is one of that name."""
    connection.execute(delete(caller).where(caller.c.name == name))
