"""What agents announced: keys and stores; and which authorities a key is kept for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from hsm_agent.wire.messages import Key, Store
from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import allowed, key, store

ABSENT = "absent"
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of an agent, as it told of it last."""

    agent: str
    spki_hash: bytes
    told: Key


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A store of an agent, as it told of it last."""

    agent: str
    told: Store


_KEYS = select(
    key.c.agent,
    key.c.spki_hash,
    key.c.name,
    key.c.key_type,
    key.c.public_key,
    key.c.algorithms,
    key.c.state,
    key.c.certificate,
    key.c.attestation,
    key.c.trial,
    key.c.details,
).order_by(key.c.agent, key.c.name)
_STORES = select(
    store.c.agent,
    store.c.name,
    store.c.kind,
    store.c.state,
    store.c.key_types,
    store.c.free,
    store.c.details,
).order_by(store.c.agent, store.c.name)
_ALLOWED = select(allowed.c.spki_hash, allowed.c.authority).order_by(allowed.c.authority)


def list_keys(connection: Connection) -> Sequence[KeyRow]:
    """Return all keys of all agents by name."""
    return [
        KeyRow(
            agent,
            spki_hash,
            Key(
                name=name,
                key_type=key_type,
                public_key=public_key,
                algorithms=tuple(json.loads(algorithms)),
                state=state,
                certificate=certificate,
                attestation=tuple(map(bytes.fromhex, json.loads(attestation))),
                trial=trial,
                details=json.loads(details),
            ),
        )
        for (
            agent,
            spki_hash,
            name,
            key_type,
            public_key,
            algorithms,
            state,
            certificate,
            attestation,
            trial,
            details,
        ) in connection.execute(_KEYS)
    ]


def list_stores(connection: Connection) -> Sequence[StoreRow]:
    """Return all stores of all agents by name."""
    return [
        StoreRow(
            agent,
            Store(
                name=name,
                kind=kind,
                state=state,
                key_types=tuple(json.loads(key_types)),
                free=tuple(json.loads(free)),
                details=json.loads(details),
            ),
        )
        for agent, name, kind, state, key_types, free, details in connection.execute(_STORES)
    ]


def replace_keys(connection: Connection, agent: str, rows: Sequence[KeyRow]) -> None:
    """Remember what an agent announces now; a key that it does not name any more is absent."""
    # First of all, because every node hears the same at once: this row lets one after the other.
    revisions.advance(connection)
    names = [row.told.name for row in rows]
    connection.execute(delete(key).where(key.c.agent == agent, key.c.name.in_(names)))
    connection.execute(update(key).where(key.c.agent == agent).values(state=ABSENT))
    if rows:
        connection.execute(insert(key), [_values(row) for row in rows])


def put_key(connection: Connection, row: KeyRow) -> None:
    """Remember one key, beside the others of its agent."""
    revisions.advance(connection)
    connection.execute(delete(key).where(key.c.agent == row.agent, key.c.name == row.told.name))
    connection.execute(insert(key), [_values(row)])


def replace_stores(connection: Connection, agent: str, stores: Sequence[Store]) -> None:
    """Remember the stores that an agent announces now, and no others of it."""
    revisions.advance(connection)
    connection.execute(delete(store).where(store.c.agent == agent))
    rows = [
        {
            "agent": agent,
            "name": one.name,
            "kind": one.kind,
            "state": one.state,
            "key_types": json.dumps(one.key_types),
            "free": json.dumps(one.free),
            "details": json.dumps(one.details),
        }
        for one in stores
    ]
    if rows:
        connection.execute(insert(store), rows)


def allowed_authorities(connection: Connection) -> Mapping[bytes, frozenset[str]]:
    """Return, for each key that is not for everybody, the authorities that it is kept for."""
    found: dict[bytes, set[str]] = {}
    for spki_hash, authority in connection.execute(_ALLOWED):
        found.setdefault(spki_hash, set()).add(authority)
    return {spki_hash: frozenset(names - {_NOBODY}) for spki_hash, names in found.items()}


def keep_for(
    connection: Connection, spki_hash: bytes, authorities: Iterable[str], by: str, now: int
) -> None:
    """Keep a key for these authorities alone; for none, nobody may use it."""
    keep_for_everybody(connection, spki_hash)
    # The row of nobody tells a key that is kept for none from one that is for everybody.
    rows = [
        {"spki_hash": spki_hash, "authority": name, "since": now, "by": by}
        for name in {*authorities, _NOBODY}
    ]
    connection.execute(insert(allowed), rows)


def keep_for_everybody(connection: Connection, spki_hash: bytes) -> None:
    """Let every authority use a key."""
    revisions.advance(connection)
    connection.execute(delete(allowed).where(allowed.c.spki_hash == spki_hash))


def _values(row: KeyRow) -> dict[str, object]:
    told = row.told
    return {
        "agent": row.agent,
        "name": told.name,
        "spki_hash": row.spki_hash,
        "public_key": told.public_key,
        "key_type": told.key_type,
        "algorithms": json.dumps(told.algorithms),
        "state": told.state,
        "certificate": told.certificate,
        "attestation": json.dumps([one.hex() for one in told.attestation]),
        "trial": told.trial,
        "details": json.dumps(told.details),
    }
