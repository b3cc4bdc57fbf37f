"""CRLs: a number before the signature, the octets in chunks after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from pikaserver.api.errors import Conflict, NotFound
from pikaserver.storage.tables import authority_generation, crl, crl_chunk

CHUNK_OCTETS = 256 * 1024
"""How much of a CRL is in memory at a time."""


@dataclass(frozen=True, slots=True)
class CrlIntent:
    """A reserved CRL number."""

    id: int
    number: int


@dataclass(frozen=True, slots=True)
class CrlRow:
    """A signed CRL without its octets; ``hash`` is SHA-256 of them in hex.

    ``revocations`` is how many of the generation's revocations and releases it knows.
    """

    id: int
    generation_id: int
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    octets: int
    hash: str
    revocations: int


_LOCK = (
    select(authority_generation.c.id)
    .where(authority_generation.c.id == bindparam("generation"))
    .with_for_update()
)
_LAST = select(
    sa.func.max(crl.c.number),
    sa.func.max(crl.c.this_update).filter(crl.c.state != "abandoned"),
).where(crl.c.generation_id == bindparam("generation"))
_INSERT = insert(crl).returning(crl.c.id)
_CHUNK = insert(crl_chunk).inline()
_FINISH = (
    update(crl)
    .where(crl.c.id == bindparam("of_id"), crl.c.state == "intent")
    .values(
        state=bindparam("new_state"),
        entries=bindparam("new_entries"),
        octets=bindparam("new_octets"),
        hash=bindparam("new_hash"),
        revocations=bindparam("new_revocations"),
    )
)
_LATEST = (
    select(
        crl.c.id,
        crl.c.generation_id,
        crl.c.number,
        crl.c.this_update,
        crl.c.next_update,
        crl.c.entries,
        crl.c.octets,
        crl.c.hash,
        crl.c.revocations,
    )
    .where(crl.c.generation_id == bindparam("generation"), crl.c.state == "issued")
    .order_by(crl.c.number.desc())
    .limit(1)
)
_OPEN = select(crl.c.id, crl.c.number).where(crl.c.state == "intent").order_by(crl.c.id)
_READ = select(crl_chunk.c.octets).where(
    crl_chunk.c.crl_id == bindparam("of_id"), crl_chunk.c.position == bindparam("at_position")
)
_DROP = delete(crl_chunk).where(crl_chunk.c.crl_id == bindparam("of_id"))
_DROP_OLD = delete(crl_chunk).where(
    crl_chunk.c.crl_id.in_(
        select(crl.c.id).where(
            crl.c.generation_id == bindparam("generation"), crl.c.number < bindparam("before")
        )
    )
)


def insert_intent(
    connection: Connection, generation_id: int, *, this_update: datetime, next_update: datetime
) -> CrlIntent:
    """Reserve the next number of a generation; several makers get several numbers.

    Raises:
        Conflict: a CRL of a later ``this_update`` exists; thisUpdate never goes back.
        NotFound: no such generation.
    """
    if connection.execute(_LOCK, {"generation": generation_id}).one_or_none() is None:
        raise NotFound(f"there is no generation {generation_id}")
    number, last = connection.execute(_LAST, {"generation": generation_id}).one()
    if last is not None and this_update < last:
        raise Conflict(f"the last CRL is of {last:%Y-%m-%d %H:%M:%S}, later than the clock")
    following: int = (number or 0) + 1
    new = {
        "generation_id": generation_id,
        "number": following,
        "state": "intent",
        "this_update": this_update,
        "next_update": next_update,
        "entries": 0,
        "octets": 0,
        "revocations": 0,
    }
    crl_id: int = connection.execute(_INSERT, new).scalar_one()
    return CrlIntent(crl_id, following)


def open_intents(connection: Connection) -> list[CrlIntent]:
    """Return the numbers that wait for their CRL, oldest first."""
    return [CrlIntent(*row) for row in connection.execute(_OPEN)]


def write(connection: Connection, crl_id: int, pieces: Iterable[bytes]) -> int:
    """Store the octets of a CRL in chunks and return how many they are.

    What a broken attempt left of this CRL is replaced.
    """
    connection.execute(_DROP, {"of_id": crl_id})
    octets = 0
    for position, chunk in enumerate(chunks(pieces)):
        row = {"crl_id": crl_id, "position": position, "octets": chunk}
        connection.execute(_CHUNK, row)
        octets += len(chunk)
    return octets


def complete(
    connection: Connection, crl_id: int, *, entries: int, octets: int, digest: str, revocations: int
) -> None:
    """Make a CRL the one that is served; ``digest`` is SHA-256 of its octets in hex.

    Raises:
        Conflict: it is no intent any more.
    """
    _finish(connection, crl_id, ("issued", entries, octets, digest, revocations))


def abandon(connection: Connection, crl_id: int) -> None:
    """Give up a number; it is never used again.

    Raises:
        Conflict: it is no intent any more.
    """
    connection.execute(_DROP, {"of_id": crl_id})
    _finish(connection, crl_id, ("abandoned", 0, 0, None, 0))


def latest(connection: Connection, generation_id: int) -> CrlRow:
    """Return the signed CRL with the highest number.

    Raises:
        NotFound: nothing was signed yet.
    """
    row = connection.execute(_LATEST, {"generation": generation_id}).one_or_none()
    if row is None:
        raise NotFound("there is no CRL yet")
    return CrlRow(*row)


def read(connection: Connection, crl_id: int) -> Iterator[bytes]:
    """Yield the octets of a CRL, one chunk in memory at a time."""
    position = 0
    while chunk := connection.execute(
        _READ, {"of_id": crl_id, "at_position": position}
    ).scalar_one_or_none():
        yield chunk
        position += 1


def drop_superseded(connection: Connection, generation_id: int, before: int) -> None:
    """Delete the octets of CRLs with smaller numbers; the numbers stay on record."""
    connection.execute(_DROP_OLD, {"generation": generation_id, "before": before})


def withdraw_after(connection: Connection, now: datetime) -> int:
    """Give up the CRLs of a time to come, and return how many; their numbers stay on record."""
    ahead = (crl.c.state != "abandoned", crl.c.this_update > now)
    connection.execute(
        delete(crl_chunk).where(crl_chunk.c.crl_id.in_(select(crl.c.id).where(*ahead)))
    )
    return connection.execute(update(crl).where(*ahead).values(state="abandoned")).rowcount


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces of any size to chunks of ``CHUNK_OCTETS``; the last may be shorter."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= CHUNK_OCTETS:
            yield bytes(buffer[:CHUNK_OCTETS])
            del buffer[:CHUNK_OCTETS]
    if buffer:
        yield bytes(buffer)


def _finish(
    connection: Connection, crl_id: int, outcome: tuple[str, int, int, str | None, int]
) -> None:
    state, entries, octets, digest, revocations = outcome
    values = {
        "of_id": crl_id,
        "new_state": state,
        "new_entries": entries,
        "new_octets": octets,
        "new_hash": digest,
        "new_revocations": revocations,
    }
    if connection.execute(_FINISH, values).rowcount != 1:
        raise Conflict(f"CRL {crl_id} does not wait for its signature")
