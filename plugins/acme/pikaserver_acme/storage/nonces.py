"""Nonces that were used, and the key that all nodes make them with."""

from sqlalchemy import Connection, delete, select

from pikaserver_acme.storage.statements import insert_unless_there
from pikaserver_acme.storage.tables import nonce, secret


def spend(connection: Connection, value: bytes, expires_at: int) -> bool:
    """Note that a nonce is used; ``False`` if it was used before, on any node."""
    return insert_unless_there(connection, nonce, {"nonce": value, "expires_at": expires_at})


def forget(connection: Connection, now: int) -> int:
    """Drop those that are too old to be taken anyway; return how many."""
    return connection.execute(delete(nonce).where(nonce.c.expires_at < now)).rowcount


def find_secret(connection: Connection, name: str) -> bytes | None:
    """Return a sealed secret."""
    found = connection.scalar(select(secret.c.sealed).where(secret.c.name == name))
    return None if found is None else bytes(found)


def keep_secret(connection: Connection, name: str, sealed: bytes) -> None:
    """Store a sealed secret, unless another node was first."""
    insert_unless_there(connection, secret, {"name": name, "sealed": sealed})
