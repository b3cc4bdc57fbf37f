"""What was over long ago leaves the database, so many rows at a time.

The newest row of a table always stays: SQLite gives the number of a last row that was dropped to
the next one, and an order's number is what the host knows its issuance by.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, func, select

from pikaserver_acme.records import Status
from pikaserver_acme.storage.tables import (
    attempt,
    authorization,
    auto_renewal,
    challenge,
    order,
    order_authorization,
    validation,
)


def forget_orders(connection: Connection, before: int, limit: int) -> int:
    """Drop orders that were over before this time; return how many.

    One that is being made stays, however old: going on with it ends it.  So does one whose next
    certificate is due.
    """
    follows = exists().where(
        auto_renewal.c.order_id == order.c.id, auto_renewal.c.next_at.is_not(None)
    )
    statement = (
        select(order.c.id)
        .where(
            order.c.over_at < before,
            order.c.status != Status.PROCESSING.value,
            order.c.id < select(func.max(order.c.id)).scalar_subquery(),
            ~follows,
        )
        .order_by(order.c.over_at)
        .limit(limit)
    )
    found = list(connection.scalars(statement))
    if found:
        connection.execute(
            delete(order_authorization).where(order_authorization.c.order_id.in_(found))
        )
        connection.execute(delete(auto_renewal).where(auto_renewal.c.order_id.in_(found)))
        connection.execute(delete(order).where(order.c.id.in_(found)))
    return len(found)


def forget_authorizations(connection: Connection, before: int, limit: int) -> int:
    """Drop authorizations that ended before this time and that no order names; return how many.

    Their challenges and what was tried for these go with them.
    """
    needed = exists().where(order_authorization.c.authorization_id == authorization.c.id)
    statement = (
        select(authorization.c.id)
        .where(
            authorization.c.expires_at < before,
            authorization.c.id < select(func.max(authorization.c.id)).scalar_subquery(),
            ~needed,
        )
        .order_by(authorization.c.expires_at)
        .limit(limit)
    )
    found = list(connection.scalars(statement))
    if found:
        _drop_challenges(connection, found)
        connection.execute(delete(authorization).where(authorization.c.id.in_(found)))
    return len(found)


def _drop_challenges(connection: Connection, authorization_ids: Sequence[int]) -> None:
    statement = select(challenge.c.id).where(challenge.c.authorization_id.in_(authorization_ids))
    found = list(connection.scalars(statement))
    connection.execute(delete(attempt).where(attempt.c.challenge_id.in_(found)))
    connection.execute(delete(validation).where(validation.c.challenge_id.in_(found)))
    connection.execute(delete(challenge).where(challenge.c.id.in_(found)))
