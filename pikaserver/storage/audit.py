"""The audit trail: one hash chain per node, written in the transaction of the deed itself.

``hash`` is SHA-256 over the hash before it (32 zero octets at the start) and the line: JSON
of ``actor at event fields node sequence`` with sorted keys, no blanks and ASCII only.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.api.operations import AuditRecord
from pikaserver.api.prepared import Prepared
from pikaserver.storage.tables import audit_chain, audit_record

START = bytes(32)
"""What the first record of a node has for a predecessor's hash."""

_ACTOR_LENGTH = 300
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode

_HEADS = "pikaserver.audit.heads"
_HEAD = (
    select(audit_chain.c.sequence, audit_chain.c.hash)
    .where(audit_chain.c.node == bindparam("node"))
    .with_for_update()
)
_FIRST = insert(audit_chain)
_ADVANCE = Prepared(
    update(audit_chain)
    .where(
        audit_chain.c.node == bindparam("of_node"),
        audit_chain.c.sequence == bindparam("old_sequence"),
        audit_chain.c.hash == bindparam("old_hash"),
    )
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"))
)
_APPEND = Prepared(insert(audit_record).inline())
_HEADS_OF_ALL = select(audit_chain.c.node, audit_chain.c.sequence, audit_chain.c.hash)
_before = audit_record.alias("before")
_LINES = (
    select(
        audit_record.c.node,
        audit_record.c.sequence,
        audit_record.c.at,
        audit_record.c.event,
        audit_record.c.actor,
        audit_record.c.fields,
        audit_record.c.hash,
    )
    .order_by(audit_record.c.node, audit_record.c.sequence)
    .execution_options(yield_per=1000)
)
_TRAIL = _LINES.add_columns(_before.c.hash.label("previous")).outerjoin_from(
    audit_record,
    _before,
    and_(
        _before.c.node == audit_record.c.node,
        _before.c.sequence == audit_record.c.sequence - 1,
    ),
)


class Head(NamedTuple):
    """Where a node's chain ends."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a walk along all chains found: ``problem`` names the first fault in one sentence."""

    records: int
    heads: Mapping[int, Head]
    problem: str | None


@dataclass(frozen=True, slots=True)
class TrailQuery:
    """Which records to read; unset fields do not restrict.  ``after`` is a sequence number."""

    node: int | None = None
    after: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    event: str | None = None
    actor: str | None = None


def record(
    connection: Connection,
    *,
    node: int,
    at: datetime,
    event: str,
    actor: str,
    fields: Mapping[str, object],
) -> AuditRecord:
    """Append one line to the node's chain, inside the caller's transaction.

    Args:
        connection: the one of the transaction that does the deed.
        node: the number of this server.
        at: when it happened.
        event: a short word of our own: ``certificate.signing``.
        actor: who did it; unprintable characters are escaped, what is too long is cut.
        fields: JSON scalars and lists of them; never a secret.

    Raises:
        TypeError: a field is not JSON; octets are refused because they may be a secret.
    """
    text = _canonical(fields)
    actor = _printable(actor)
    heads: dict[int, Head] = connection.info.setdefault(_HEADS, {})
    head = heads.get(node) or _head(connection, node)
    while True:
        line = _line(node, head.sequence + 1, at, event, actor, text)
        new = Head(head.sequence + 1, hashlib.sha256(head.hash + line).digest())
        if _advance(connection, node, head, new):
            break
        # What we remembered was rolled back, or another process of this node wrote.
        head = _head(connection, node)
    heads[node] = new
    _APPEND.run(
        connection,
        {
            "node": node,
            "sequence": new.sequence,
            "at": at,
            "event": event,
            "actor": actor,
            "fields": text,
            "hash": new.hash,
        },
    )
    return AuditRecord(node, new.sequence, at, event, actor, fields, head.hash, new.hash)


def verify(connection: Connection) -> VerifyReport:
    """Walk along every chain and name the first altered, missing or added record."""
    expected = heads(connection)
    found: dict[int, Head] = {}
    records = 0
    with connection.execute(_LINES) as rows:
        for row in rows:
            head = found.get(row.node, Head(0, START))
            if problem := _fault(row, head):
                return VerifyReport(records, found, problem)
            found[row.node] = Head(row.sequence, row.hash)
            records += 1
    return VerifyReport(records, found, _torn_end(expected, found))


def heads(connection: Connection) -> dict[int, Head]:
    """Return where each node's chain ends."""
    return {row.node: Head(row.sequence, row.hash) for row in connection.execute(_HEADS_OF_ALL)}


def hash_of(connection: Connection, node: int, sequence: int) -> bytes | None:
    """Return the hash of one record, ``None`` where there is none."""
    one = (audit_record.c.node == node) & (audit_record.c.sequence == sequence)
    found: bytes | None = connection.scalar(select(audit_record.c.hash).where(one))
    return found


def export(connection: Connection, query: TrailQuery | None = None) -> Iterator[str]:
    """Yield records as JSON lines, by node and sequence, hashes in hex; nothing is buffered."""
    for found in read(connection, query or TrailQuery()):
        yield _encode(
            {
                "actor": found.actor,
                "at": _moment(found.at),
                "event": found.event,
                "fields": found.fields,
                "hash": found.hash.hex(),
                "node": found.node,
                "previous": found.previous.hex(),
                "sequence": found.sequence,
            }
        )


def read(connection: Connection, query: TrailQuery) -> Iterator[AuditRecord]:
    """Yield records by node and sequence; where the one before is missing, so is its hash."""
    conditions = (
        (query.node, audit_record.c.node.__eq__),
        (query.after, audit_record.c.sequence.__gt__),
        (query.since, audit_record.c.at.__ge__),
        (query.until, audit_record.c.at.__lt__),
        (query.event, audit_record.c.event.__eq__),
        (query.actor, audit_record.c.actor.__eq__),
    )
    statement = _TRAIL
    for value, condition in conditions:
        if value is not None:
            statement = statement.where(condition(value))
    with connection.execute(statement) as rows:
        for row in rows:
            previous = row.previous or (START if row.sequence == 1 else b"")
            yield AuditRecord(
                row.node,
                row.sequence,
                row.at,
                row.event,
                row.actor,
                json.loads(row.fields),
                previous,
                row.hash,
            )


def _fault(row: Row[*tuple[object, ...]], head: Head) -> str | None:
    if row.sequence != head.sequence + 1:
        return f"node {row.node}: record {head.sequence + 1} is missing"
    line = _line(row.node, row.sequence, row.at, row.event, row.actor, row.fields)
    if hashlib.sha256(head.hash + line).digest() != row.hash:
        return f"node {row.node}: record {row.sequence} is altered or does not follow on its chain"
    return None


def _torn_end(expected: Mapping[int, Head], found: Mapping[int, Head]) -> str | None:
    for node in sorted(expected.keys() | found.keys()):
        want = expected.get(node, Head(0, START))
        have = found.get(node, Head(0, START))
        if have.sequence < want.sequence:
            return (
                f"node {node}: the trail is cut off after record {have.sequence}; "
                f"its last one was {want.sequence}"
            )
        if have != want:
            return f"node {node}: record {have.sequence} is not the head that the chain names"
    return None


def _head(connection: Connection, node: int) -> Head:
    """Read and lock the end of a chain; begin the chain where there is none."""
    row = connection.execute(_HEAD, {"node": node}).one_or_none()
    if row is None:
        # Another process of this node may begin it at the same moment.
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(_FIRST, {"node": node, "sequence": 0, "hash": START})
        row = connection.execute(_HEAD, {"node": node}).one()
    return Head(row.sequence, row.hash)


def _advance(connection: Connection, node: int, old: Head, new: Head) -> bool:
    moved = _ADVANCE.run(
        connection,
        {
            "of_node": node,
            "old_sequence": old.sequence,
            "old_hash": old.hash,
            "new_sequence": new.sequence,
            "new_hash": new.hash,
        },
    )
    return moved == 1


def _canonical(fields: Mapping[str, object]) -> str:
    for name, value in fields.items():
        parts = value if isinstance(value, (list, tuple)) else (value,)
        for part in parts:
            # bool is an int.
            if not isinstance(part, (str, int, float, type(None))):
                raise TypeError(f"audit field {name!r} holds {type(part).__name__}, not JSON")
    return _encode(dict(fields))


def _printable(actor: str) -> str:
    if not actor.isprintable():
        actor = actor.encode("unicode_escape").decode("ascii")
    return actor[:_ACTOR_LENGTH]


def _line(node: int, sequence: int, at: datetime, event: str, actor: str, fields: str) -> bytes:
    """Return the octets that the hash covers; written by hand, as it runs for each deed."""
    return (
        f'{{"actor":{_encode(actor)},"at":"{_moment(at)}","event":{_encode(event)},'
        f'"fields":{fields},"node":{node},"sequence":{sequence}}}'
    ).encode("ascii")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
