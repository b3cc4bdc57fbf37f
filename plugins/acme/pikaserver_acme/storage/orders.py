"""Orders in the database, and what they become one step at a time."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Update, and_, bindparam, exists, func, or_, select, update

from pikaserver.api.prepared import Prepared
from pikaserver_acme.identifiers import Identifier, read_identifiers
from pikaserver_acme.records import Order, Status
from pikaserver_acme.storage.statements import Asked, changed, insert
from pikaserver_acme.storage.tables import (
    account,
    authorization,
    challenge,
    order,
    order_authorization,
)

_EMPTY: Mapping[str, None] = {column.name: None for column in order.c}
_LINK = Prepared(order_authorization.insert().inline())
_OPEN = (Status.PENDING.value, Status.READY.value)
_BY_ID = Asked(select(order).where(order.c.id == bindparam("of_id")))
_NEEDED = Prepared(
    select(order_authorization.c.authorization_id)
    .where(order_authorization.c.order_id == bindparam("of_id"))
    .order_by(order_authorization.c.authorization_id)
)
_IS_PROCESSING = and_(order.c.id == bindparam("of_id"), order.c.status == Status.PROCESSING.value)
_CLAIM = Prepared(
    update(order)
    .where(
        order.c.id == bindparam("of_id"),
        order.c.status == Status.READY.value,
        order.c.expires_at > bindparam("now"),
    )
    .values(
        status=Status.PROCESSING.value,
        csr=bindparam("of_csr"),
        second_csr=bindparam("of_second"),
        finalized_at=bindparam("now"),
        error=None,
    )
)
_COUNT_OF = Prepared(
    select(func.count()).where(
        order.c.account_id == bindparam("of_account"), order.c.created_at > bindparam("since")
    )
)
_COUNT_OF_SET = Prepared(
    select(func.count())
    .select_from(order.join(account, account.c.id == order.c.account_id))
    .where(
        order.c.identifiers_hash == bindparam("of_names"),
        order.c.created_at > bindparam("since"),
        order.c.status == Status.VALID.value,
        account.c.policy_id == bindparam("of_policy"),
    )
)
_FINISH = Prepared(
    update(order)
    .where(_IS_PROCESSING)
    .values(
        status=Status.VALID.value,
        certificate_id=bindparam("of_certificate"),
        second_id=bindparam("of_second"),
        trace=bindparam("of_trace"),
        request_id=None,
        over_at=bindparam("ends"),
    )
)


def add(connection: Connection, row: Mapping[str, object], authorizations: Sequence[int]) -> Order:
    """Store an order with the authorizations that it needs."""
    order_id = insert(connection, order, row)
    links = [{"order_id": order_id, "authorization_id": one} for one in authorizations]
    _LINK.run_many(connection, links)
    return order_of({**_EMPTY, **row, "id": order_id})


def get(connection: Connection, order_id: int) -> Order | None:
    """Return the order of a number."""
    found = _BY_ID.one(connection, of_id=order_id)
    return None if found is None else order_of(found)


def authorizations_of(connection: Connection, order_id: int) -> list[int]:
    """Return the numbers of an order's authorizations."""
    return [number for (number,) in _NEEDED.rows(connection, {"of_id": order_id})]


def claim(
    connection: Connection, order_id: int, csr: bytes, now: int, second: bytes | None = None
) -> bool:
    """Let one finalization have the order; ``False``: another has it, or it is not ready.

    ``second`` is the CSR of a pair's second certificate.
    """
    values = {"of_id": order_id, "of_csr": csr, "of_second": second, "now": now}
    return _CLAIM.run(connection, values) > 0


def is_processing(connection: Connection, order_id: int) -> bool:
    """Hold a claimed order, and tell whether it still is; for whoever goes on with it."""
    return changed(connection, _processing(order_id).values(status=Status.PROCESSING.value))


def finish(
    connection: Connection,
    order_id: int,
    certificate_id: int,
    second_id: int | None,
    trace: str,
    ends: int,
) -> bool:
    """Give an order its certificate, or both of a pair; they are of use until it ``ends``."""
    values = {
        "of_id": order_id,
        "of_certificate": certificate_id,
        "of_second": second_id,
        "of_trace": trace,
        "ends": ends,
    }
    return _FINISH.run(connection, values) > 0


def await_person(connection: Connection, order_id: int, request_id: int) -> bool:
    """Note which request of the host a person has to approve."""
    return changed(connection, _processing(order_id).values(request_id=request_id))


def fail(connection: Connection, order_id: int, error: str, trace: str | None = None) -> bool:
    """End an order that was claimed."""
    values = {"status": Status.INVALID.value, "error": error, "trace": trace}
    return changed(connection, _processing(order_id).values(values))


def follow(connection: Connection, order_id: int, certificate_id: int, ends: int) -> None:
    """Let an order point to the newest of its certificates, which ``ends`` then."""
    statement = update(order).where(order.c.id == order_id)
    connection.execute(statement.values(certificate_id=certificate_id, over_at=ends))


def cancel(connection: Connection, order_id: int, before: Status) -> bool:
    """Cancel an order in this state."""
    statement = update(order).where(order.c.id == order_id, order.c.status == before.value)
    return changed(connection, statement.values(status=Status.CANCELED.value))


def make_ready(connection: Connection, authorization_id: int) -> None:
    """Let the orders that waited for this authorization only go on."""
    link = order_authorization.alias("waits")
    open_one = exists().where(
        link.c.order_id == order.c.id,
        link.c.authorization_id == authorization.c.id,
        authorization.c.status != Status.VALID.value,
    )
    statement = _pending_with(authorization_id).where(~open_one)
    connection.execute(statement.values(status=Status.READY.value))


def make_invalid(connection: Connection, authorization_id: int, error: str) -> None:
    """End the orders that need an authorization which is not to be had."""
    needing = select(order_authorization.c.order_id).where(
        order_authorization.c.authorization_id == authorization_id
    )
    statement = update(order).where(order.c.id.in_(needing), order.c.status.in_(_OPEN))
    connection.execute(statement.values(status=Status.INVALID.value, error=error))


def end_all_of(connection: Connection, account_id: int, error: str) -> None:
    """End the open orders of an account."""
    statement = update(order).where(order.c.account_id == account_id, order.c.status.in_(_OPEN))
    connection.execute(statement.values(status=Status.INVALID.value, error=error))


def page(
    connection: Connection, account_id: int | None, after: int | None, limit: int
) -> list[Order]:
    """Return orders, newest first."""
    statement = select(order).order_by(order.c.id.desc()).limit(limit)
    if account_id is not None:
        statement = statement.where(order.c.account_id == account_id)
    if after is not None:
        statement = statement.where(order.c.id < after)
    return [order_of(dict(row)) for row in connection.execute(statement).mappings()]


def listed(connection: Connection, account_id: int, after: int | None, limit: int) -> list[int]:
    """Return the numbers of an account's orders that are not invalid, newest first."""
    statement = select(order.c.id).where(
        order.c.account_id == account_id, order.c.status != Status.INVALID.value
    )
    if after is not None:
        statement = statement.where(order.c.id < after)
    return list(connection.scalars(statement.order_by(order.c.id.desc()).limit(limit)))


def unfinished(connection: Connection, before: int, limit: int) -> list[Order]:
    """Return orders that were claimed before this time and have not ended, oldest first."""
    statement = (
        select(order)
        .where(order.c.status == Status.PROCESSING.value, order.c.finalized_at < before)
        .order_by(order.c.finalized_at)
        .limit(limit)
    )
    return [order_of(dict(row)) for row in connection.execute(statement).mappings()]


def of_certificate(connection: Connection, certificate_id: int) -> Order | None:
    """Return the order that a certificate came from."""
    is_its = or_(order.c.certificate_id == certificate_id, order.c.second_id == certificate_id)
    statement = select(order).where(is_its)
    row = connection.execute(statement).mappings().first()
    return None if row is None else order_of(dict(row))


def hold_replacing(connection: Connection, identifier: str) -> None:
    """Let no other transaction go on with an order that replaces this certificate."""
    replacing = select(order.c.id).where(order.c.replaces == identifier).order_by(order.c.id)
    connection.execute(replacing.with_for_update()).all()


def is_replaced(connection: Connection, identifier: str, by_other_than: int = 0) -> bool:
    """Tell whether another order replaces this certificate already (RFC 9773 section 5)."""
    taken = (Status.PROCESSING.value, Status.VALID.value)
    statement = select(order.c.id).where(
        order.c.replaces == identifier, order.c.status.in_(taken), order.c.id != by_other_than
    )
    return connection.scalar(statement.limit(1)) is not None


def count_of(connection: Connection, account_id: int, since: int) -> int:
    """Return how many orders an account made since then."""
    return _COUNT_OF.number(connection, {"of_account": account_id, "since": since})


def count_of_set(connection: Connection, policy_id: int, names: str, since: int) -> int:
    """Return how many certificates for the same names came since then, from all accounts."""
    values = {"of_names": names, "since": since, "of_policy": policy_id}
    return _COUNT_OF_SET.number(connection, values)


def count_failures(connection: Connection, account_id: int, asked: Identifier, since: int) -> int:
    """Return how often an account failed to prove an identifier since then."""
    statement = (
        select(func.count())
        .select_from(challenge.join(authorization))
        .where(
            authorization.c.account_id == account_id,
            authorization.c.identifier_type == asked.type,
            authorization.c.identifier_value == asked.base,
            challenge.c.status == Status.INVALID.value,
            challenge.c.begun_at > since,
        )
    )
    return connection.scalar(statement) or 0


def order_of(row: Mapping[str, Any]) -> Order:
    """Return a row as an order."""
    values = dict(row)
    del values["identifiers_hash"], values["over_at"]
    values["identifiers"] = read_identifiers(json.loads(values["identifiers"]))
    values["error"] = None if values["error"] is None else json.loads(values["error"])
    values["status"] = Status(values["status"])
    return Order(**values)


def _processing(order_id: int) -> Update:
    return update(order).where(order.c.id == order_id, order.c.status == Status.PROCESSING.value)


def _pending_with(authorization_id: int) -> Update:
    needing = select(order_authorization.c.order_id).where(
        order_authorization.c.authorization_id == authorization_id
    )
    return update(order).where(order.c.id.in_(needing), order.c.status == Status.PENDING.value)
