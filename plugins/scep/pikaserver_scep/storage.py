"""The table of messages that were served: the only place that knows its columns."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    CursorResult,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    bindparam,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from pikaserver.api.issuance import Requester
from pikaserver_scep.challenges.tables import metadata
from pikaserver_scep.moments import Moment

RowId = BigInteger().with_variant(Integer, "sqlite")

message = Table(
    "scep_message",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("message_hash", LargeBinary(32), nullable=False, unique=True),
    Column("requester_hash", LargeBinary(32), nullable=False),  # template, key, transactionID
    Column("request_hash", LargeBinary(32), nullable=False),  # keyed: the CSR has a password
    Column("method", String(40), nullable=False),  # the proof that was given
    Column("requester", String(300), nullable=False),
    Column("request_id", BigInteger),  # of the host, where a person decides
    Column("certificate_id", BigInteger),  # of the host, once it is there
    Column("renews_id", BigInteger),  # the certificate that the requester showed
    Column("sealed", LargeBinary),  # the CSR with its password, while it is needed
    Column("expires_at", Moment, nullable=False),
    Index("scep_message_requester", "requester_hash", "id"),
    Index("scep_message_end", "expires_at"),
)

hash_key = Table(  # one row: with it, request hashes tell nothing of passwords
    "scep_hash_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Served:
    """One message: what came of it, or what it waits for."""

    id: int
    message_hash: bytes
    requester_hash: bytes
    request_hash: bytes
    method: str
    requester: str
    request_id: int | None
    certificate_id: int | None
    renews_id: int | None
    sealed: bytes | None
    expires_at: datetime


_COLUMNS = tuple(message.c[name] for name in Served.__dataclass_fields__)
_OF_REQUESTER = message.c.requester_hash == bindparam("requester")
_EXACT = message.c.message_hash == bindparam("exact")
_SAME = and_(_OF_REQUESTER, message.c.request_hash == bindparam("request"))
_FIND = (
    select(*_COLUMNS)
    .where(or_(_EXACT, _SAME))
    .order_by(case((_EXACT, 0), else_=1), message.c.id.desc())
    .limit(1)
)
_NEWEST = select(*_COLUMNS).where(_OF_REQUESTER).order_by(message.c.id.desc()).limit(1)
_INSERT = insert(message)


def find(
    connection: Connection, message_hash: bytes, requester_hash: bytes, request_hash: bytes
) -> Served | None:
    """Return exactly this message, or else the newest of its requester with its request."""
    values = {"exact": message_hash, "requester": requester_hash, "request": request_hash}
    return _one(connection.execute(_FIND, values))


def newest(connection: Connection, requester_hash: bytes) -> Served | None:
    """Return what this requester asked last in a transaction."""
    return _one(connection.execute(_NEWEST, {"requester": requester_hash}))


def insert_message(connection: Connection, served: Served) -> None:
    """Keep a message; its id is chosen here.

    One that is known already stays as it is, but for the certificate that came of it: it may
    have come again while that was being signed, and be kept as one that waits.
    """
    values = {name: getattr(served, name) for name in Served.__dataclass_fields__ if name != "id"}
    try:
        with connection.begin_nested():
            connection.execute(_INSERT, values)
    except IntegrityError:  # the same message came twice at the same moment
        waiting = and_(_EXACT, message.c.certificate_id.is_(None))
        done = update(message).where(waiting).values(certificate_id=served.certificate_id)
        connection.execute(done, {"exact": served.message_hash})


def issued(connection: Connection, served_id: int, certificate_id: int) -> None:
    """Note the certificate that came of a message that waited."""
    done = update(message).where(message.c.id == served_id)
    connection.execute(done.values(certificate_id=certificate_id))


def waits(connection: Connection, served_id: int, request_id: int, requester: Requester) -> None:
    """Note that a person decides on a message that waited for something else."""
    shown = requester.certificate
    changed = update(message).where(message.c.id == served_id)
    connection.execute(
        changed.values(
            request_id=request_id,
            requester=requester.name,
            method=requester.method,
            renews_id=shown.id if shown else None,
        )
    )


def unseal(connection: Connection, served_id: int) -> None:
    """Forget the CSR of a message: nothing needs it any more."""
    connection.execute(update(message).where(message.c.id == served_id).values(sealed=None))


def forget_old(connection: Connection, now: datetime) -> int:
    """Forget what is over, and return how many messages that were."""
    return connection.execute(delete(message).where(message.c.expires_at < now)).rowcount


def sealed_hash_key(connection: Connection, fresh: bytes | None = None) -> bytes | None:
    """Return the key of request hashes as it is kept; a fresh one is kept if there is none."""
    if fresh is not None:
        try:
            with connection.begin_nested():
                connection.execute(insert(hash_key).values(id=1, sealed=fresh))
        except IntegrityError:
            pass  # another node was first
    return connection.scalar(select(hash_key.c.sealed).where(hash_key.c.id == 1))


def _one(found: CursorResult[tuple[object, ...]]) -> Served | None:
    row = found.mappings().first()
    return None if row is None else Served(**row)
