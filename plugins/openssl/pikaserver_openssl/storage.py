"""The table of the plugin: its keys, sealed like all secrets of the server."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import Conflict, NotFound

NAME_LENGTH = 100

metadata = MetaData()

key = Table(
    "openssl_key",
    metadata,
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("key_type", String(40), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("exportable", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
_COLUMNS = select(
    key.c.name,
    key.c.key_type,
    key.c.public_key,
    key.c.sealed_key,
    key.c.exportable,
    key.c.created_at,
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key; ``public_key`` is SPKI in DER, ``created_at`` in seconds since 1970."""

    name: str
    key_type: str
    public_key: bytes
    sealed_key: bytes = field(repr=False)
    exportable: bool
    created_at: int


def list_keys(connection: Connection) -> Sequence[KeyRow]:
    """Return all keys by name."""
    return [KeyRow(*row) for row in connection.execute(_COLUMNS.order_by(key.c.name))]


def get_key(connection: Connection, name: str) -> KeyRow:
    """Return one key.

    Raises:
        NotFound: there is none of this name.
    """
    row = connection.execute(_COLUMNS.where(key.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no key openssl:{name}")
    return KeyRow(*row)


def add_key(connection: Connection, row: KeyRow) -> None:
    """Store a key.

    Raises:
        Conflict: there is one of this name.
    """
    values = {
        "name": row.name,
        "key_type": row.key_type,
        "public_key": row.public_key,
        "sealed_key": row.sealed_key,
        "exportable": row.exportable,
        "created_at": row.created_at,
    }
    try:
        connection.execute(insert(key).values(values))
    except IntegrityError:
        raise Conflict(f"there is a key openssl:{row.name} already") from None


def remove_key(connection: Connection, name: str) -> None:
    """Destroy a key.

    Raises:
        NotFound: there is none of this name.
    """
    if connection.execute(delete(key).where(key.c.name == name)).rowcount != 1:
        raise NotFound(f"there is no key openssl:{name}")
