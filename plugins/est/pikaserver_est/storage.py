"""The tables of the plugin: keys to encrypt to, and generated keys that wait for approval."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import Conflict, NotFound

metadata = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

decrypt_key = Table(  # what clients name when they want a generated key encrypted
    "est_decrypt_key",
    metadata,
    Column("name", String(128), primary_key=True),  # hex
    Column("sealed", LargeBinary),  # a symmetric key
    Column("certificate", LargeBinary),  # or the certificate of a pair
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(300), nullable=False),
)

generated_key = Table(  # of requests that wait for approval
    "est_generated_key",
    metadata,
    Column("wish", String(64), primary_key=True),  # SHA-256 of who asked what
    Column("sealed", LargeBinary, nullable=False),
    Column("csr", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)


_COLUMNS = (
    decrypt_key.c.name,
    decrypt_key.c.sealed,
    decrypt_key.c.certificate,
    decrypt_key.c.created_at,
    decrypt_key.c.created_by,
)


@dataclass(frozen=True, slots=True)
class DecryptKey:
    """A key to encrypt to: symmetric and sealed, or a certificate."""

    name: str
    sealed: bytes | None = field(repr=False)
    certificate: bytes | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class WaitingKey:
    """A generated key (sealed) with the request that it signed."""

    sealed: bytes = field(repr=False)
    csr: bytes


def add_key(connection: Connection, key: DecryptKey) -> None:
    """Store a key to encrypt to.

    Raises:
        Conflict: there is one of that name.
    """
    values = {
        "name": key.name,
        "sealed": key.sealed,
        "certificate": key.certificate,
        "created_at": _seconds(key.created_at),
        "created_by": key.created_by,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(decrypt_key).values(values))
    except IntegrityError as error:
        raise Conflict(f"there is a key {key.name} already") from error


def find_key(connection: Connection, name: str) -> DecryptKey | None:
    """Return the key of a name, if there is one."""
    found = _read(connection, select(*_COLUMNS).where(decrypt_key.c.name == name))
    return found[0] if found else None


def keys(connection: Connection) -> list[DecryptKey]:
    """Return all keys, by their names."""
    return _read(connection, select(*_COLUMNS).order_by(decrypt_key.c.name))


def remove_key(connection: Connection, name: str) -> None:
    """Forget a key.

    Raises:
        NotFound: there is none of that name.
    """
    if connection.execute(delete(decrypt_key).where(decrypt_key.c.name == name)).rowcount != 1:
        raise NotFound(f"there is no key {name}")


def waiting_key(connection: Connection, wish: str) -> WaitingKey | None:
    """Return what was generated for a request that waits, if anything."""
    columns = (generated_key.c.sealed, generated_key.c.csr)
    row = connection.execute(select(*columns).where(generated_key.c.wish == wish)).one_or_none()
    return None if row is None else WaitingKey(row.sealed, row.csr)


def keep_waiting(connection: Connection, wish: str, key: WaitingKey, now: datetime) -> None:
    """Keep a generated key until its request is decided on.

    Raises:
        Conflict: the same was asked at this moment already.
    """
    values = {"wish": wish, "sealed": key.sealed, "csr": key.csr, "created_at": _seconds(now)}
    try:
        with connection.begin_nested():
            connection.execute(insert(generated_key).values(values))
    except IntegrityError as error:
        raise Conflict("the same request came twice at once; send it again") from error


def forget_waiting(connection: Connection, wish: str) -> None:
    """Forget a generated key: its owner has it."""
    connection.execute(delete(generated_key).where(generated_key.c.wish == wish))


def forget_older(connection: Connection, before: datetime) -> int:
    """Forget the generated keys that waited too long, and return how many they were."""
    old = generated_key.c.created_at < _seconds(before)
    return int(connection.execute(delete(generated_key).where(old)).rowcount)


def _read(connection: Connection, statement: Select[*tuple[object, ...]]) -> list[DecryptKey]:
    return [
        DecryptKey(row.name, row.sealed, row.certificate, _moment(row.created_at), row.created_by)
        for row in connection.execute(statement)
    ]


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // _SECOND


def _moment(seconds: int) -> datetime:
    return _EPOCH + seconds * _SECOND
