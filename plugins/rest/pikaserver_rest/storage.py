"""The tables of the plugin: idempotency keys, and whose the requests are that wait."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

metadata = MetaData()

KEPT = timedelta(hours=24)
"""How long an idempotency key stands for the request that it came with."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

idempotency_key = Table(
    "rest_key",
    metadata,
    Column("name", String(64), primary_key=True),  # SHA-256 of the credential and the key
    Column("wish", String(64), nullable=False),  # SHA-256 of what was asked with it
    Column("created_at", BigInteger, nullable=False),
    Index("rest_key_age", "created_at"),
)

waiting_request = Table(
    "rest_request",
    metadata,
    Column("request_id", BigInteger, primary_key=True, autoincrement=False),  # of the host
    Column("credential", String(64), nullable=False),  # SHA-256 of who asked, and by what
)


def wish_of_key(connection: Connection, name: str, wish: str, now: datetime) -> str:
    """Return what a key stands for: this wish, unless it came with another one lately."""
    known = idempotency_key.c.name == name
    connection.execute(
        delete(idempotency_key).where(known, idempotency_key.c.created_at <= _seconds(now - KEPT))
    )
    statement = select(idempotency_key.c.wish).where(known)
    found: str | None = connection.scalar(statement)
    if found is not None:
        return found
    values = {"name": name, "wish": wish, "created_at": _seconds(now)}
    try:
        with connection.begin_nested():
            connection.execute(insert(idempotency_key), values)
    except IntegrityError:  # the same key came twice at the same moment
        return str(connection.scalar(statement))
    return wish


def forget_old_keys(connection: Connection, now: datetime) -> int:
    """Forget the keys whose time is over, and return how many these were."""
    old = idempotency_key.c.created_at <= _seconds(now - KEPT)
    return connection.execute(delete(idempotency_key).where(old)).rowcount


def note_requester(connection: Connection, request_id: int, credential: str) -> None:
    """Note whose a request is that waits; the first one who made it stays its owner."""
    values = {"request_id": request_id, "credential": credential}
    try:
        with connection.begin_nested():
            connection.execute(insert(waiting_request), values)
    except IntegrityError:
        pass  # it was sent again


def requester_of(connection: Connection, request_id: int) -> str | None:
    """Return whose a request is; ``None`` where it did not come by this door."""
    wanted = select(waiting_request.c.credential).where(waiting_request.c.request_id == request_id)
    found: str | None = connection.scalar(wanted)
    return found


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _SECOND
