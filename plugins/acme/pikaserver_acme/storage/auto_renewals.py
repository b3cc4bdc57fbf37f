"""Orders whose certificates follow one another (RFC 8739), in the database."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.elements import ColumnElement

from pikaserver_acme.records import Renewal
from pikaserver_acme.storage.statements import changed
from pikaserver_acme.storage.tables import auto_renewal as table
from pikaserver_acme.storage.tables import order


def add(connection: Connection, row: Mapping[str, object]) -> None:
    """Store the wish of an order."""
    connection.execute(table.insert(), dict(row))


def get(connection: Connection, order_id: int) -> Renewal | None:
    """Return the wish of an order."""
    found = _one(connection, table.c.order_id == order_id)
    return None if found is None else found[1]


def by_token(connection: Connection, token: str) -> tuple[int, Renewal] | None:
    """Return the order and the wish that a URL means."""
    return _one(connection, table.c.token == token)


def due(connection: Connection, now: int, limit: int) -> list[int]:
    """Return the orders whose next certificate is due, longest due first."""
    statement = (
        select(table.c.order_id)
        .where(table.c.next_at <= now, table.c.canceled_at.is_(None))
        .order_by(table.c.next_at)
        .limit(limit)
    )
    return list(connection.scalars(statement))


def advance(connection: Connection, order_id: int, issued: int, next_at: int | None) -> bool:
    """Note that another one was issued; ``False``: somebody else noted it."""
    statement = update(table).where(table.c.order_id == order_id, table.c.issued == issued - 1)
    return changed(connection, statement.values(issued=issued, next_at=next_at))


def postpone(connection: Connection, order_id: int, next_at: int) -> None:
    """Try again later."""
    connection.execute(update(table).where(table.c.order_id == order_id).values(next_at=next_at))


def cancel(connection: Connection, order_id: int, now: int) -> bool:
    """Let no more follow; ``False``: it was so already."""
    statement = update(table).where(table.c.order_id == order_id, table.c.canceled_at.is_(None))
    return changed(connection, statement.values(canceled_at=now, next_at=None))


def cancel_all_of(connection: Connection, account_id: int, now: int) -> None:
    """Let nothing more follow for an account."""
    of_account = select(order.c.id).where(order.c.account_id == account_id)
    statement = update(table).where(table.c.order_id.in_(of_account), table.c.canceled_at.is_(None))
    connection.execute(statement.values(canceled_at=now, next_at=None))


def _one(connection: Connection, condition: ColumnElement[bool]) -> tuple[int, Renewal] | None:
    row = connection.execute(select(table).where(condition)).mappings().one_or_none()
    return None if row is None else (row["order_id"], _renewal(row))


def _renewal(row: RowMapping) -> Renewal:
    values = dict(row)
    del values["order_id"]
    return Renewal(**values)
