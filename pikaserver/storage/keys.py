"""Sealed software keys in the table ``software_key``."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import Conflict, NotFound
from pikaserver.api.signing import SealedKey
from pikaserver.api.storage import Database
from pikaserver.storage.tables import software_key

_COLUMNS = select(
    software_key.c.name,
    software_key.c.key_type,
    software_key.c.public_key,
    software_key.c.sealed_key,
    software_key.c.sealed_data_key,
    software_key.c.version,
    software_key.c.exportable,
    software_key.c.created_at,
)


class DatabaseKeyStore:
    """Implements the signing package's `KeyStore` over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[SealedKey]:
        """Return all keys, in the order of their names."""
        with self._database.reading() as connection:
            rows = connection.execute(_COLUMNS.order_by(software_key.c.name)).all()
        return [SealedKey(*row) for row in rows]

    def get(self, name: str) -> SealedKey:
        """Return one key.

        Raises:
            NotFound: there is none of this name.
        """
        with self._database.reading() as connection:
            row = connection.execute(_COLUMNS.where(software_key.c.name == name)).one_or_none()
        if row is None:
            raise NotFound(f"there is no software key {name}")
        return SealedKey(*row)

    def add(self, key: SealedKey) -> None:
        """Store a key; it is durable when this returns.

        Raises:
            Conflict: there is one of this name.
        """
        statement = insert(software_key).values(
            name=key.name,
            key_type=key.key_type,
            public_key=key.public_key,
            sealed_key=key.sealed_key,
            sealed_data_key=key.sealed_data_key,
            version=key.version,
            exportable=key.exportable,
            created_at=key.created_at,
        )
        with self._database.transaction() as connection:
            try:
                connection.execute(statement)
            except IntegrityError:
                raise Conflict(f"there is a software key {key.name} already") from None

    def remove(self, name: str) -> None:
        """Destroy a key.

        Raises:
            NotFound: there is none of this name.
        """
        with self._database.transaction() as connection:
            removed = connection.execute(delete(software_key).where(software_key.c.name == name))
            if removed.rowcount != 1:
                raise NotFound(f"there is no software key {name}")
