"""The table of the plugin: the last time that each node stamped with."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

metadata = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

clock = Table(
    "tsa_clock",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("at_microseconds", BigInteger, nullable=False),
)


def last_seen(connection: Connection) -> datetime | None:
    """Return the latest time that any node stamped with."""
    found = connection.scalar(select(func.max(clock.c.at_microseconds)))
    return None if found is None else _EPOCH + found * _MICROSECOND


def see(connection: Connection, node: int, at: datetime) -> None:
    """Remember the time that a node stamps with; an earlier one changes nothing."""
    value = (at - _EPOCH) // _MICROSECOND
    own = clock.c.node == node
    if connection.scalar(select(clock.c.node).where(own)) is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(clock).values(node=node, at_microseconds=value))
        except IntegrityError:
            pass  # another process of this node was first
        else:
            return
    later = update(clock).where(own, clock.c.at_microseconds < value)
    connection.execute(later.values(at_microseconds=value))


def forget(connection: Connection) -> None:
    """Begin anew: an operator says that the clock is right now."""
    connection.execute(clock.delete())
