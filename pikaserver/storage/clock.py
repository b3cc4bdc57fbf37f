"""The last time that any node saw: a clock that ran back stops signing."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import Unavailable
from pikaserver.api.prepared import Prepared
from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.faults import is_duplicate
from pikaserver.storage.tables import clock_seen

_RESOLUTION = timedelta(seconds=1)
_SEEN = Prepared(select(clock_seen.c.at).where(clock_seen.c.id == 1))
_FIRST = insert(clock_seen).inline().values(id=1)
# Who finds the row locked leaves it to the other node, whose time is as good.
_OLDER = (
    select(clock_seen.c.id)
    .where(clock_seen.c.id == 1, clock_seen.c.at < bindparam("now", type_=UtcDateTime))
    .with_for_update(skip_locked=True)
)
_ADVANCE = (
    update(clock_seen)
    .where(clock_seen.c.id.in_(_OLDER))
    .values(at=bindparam("now", type_=UtcDateTime))
)
_RESET = update(clock_seen).where(clock_seen.c.id == 1).values(at=bindparam("now"))


def seen(connection: Connection) -> datetime | None:
    """Return the latest time that was ever noted."""
    row = _SEEN.row(connection, {})
    return None if row is None else row[0]


def guard(connection: Connection, now: datetime, tolerance: timedelta) -> None:
    """Refuse a time that lies before one already seen, else note it.

    Args:
        connection: the one of the transaction that is about to store an intent.
        now: what this node's clock says.
        tolerance: how far the clocks of several nodes may be apart.

    Raises:
        Unavailable: the clock ran back by more than ``tolerance``.
    """
    last = seen(connection)
    if last is None:
        _begin(connection, now)
    elif now < last - tolerance:
        raise Unavailable(
            f"the clock says {now:%Y-%m-%d %H:%M:%S}, but it was {last:%Y-%m-%d %H:%M:%S} before; "
            "nothing is signed until it is set right"
        )
    # Noting each moment would make all nodes queue for this one row.
    elif now >= last + _RESOLUTION:
        connection.execute(_ADVANCE, {"now": now})


def reset(connection: Connection, now: datetime) -> None:
    """Note a time whatever was seen: a clock had run ahead and an operator put it right."""
    if not connection.execute(_RESET, {"now": now}).rowcount:
        _begin(connection, now)


def _begin(connection: Connection, now: datetime) -> None:
    try:
        with connection.begin_nested():
            connection.execute(_FIRST, {"at": now})
    except IntegrityError as error:
        if not is_duplicate(error):  # another node was first: its time is as good
            raise
