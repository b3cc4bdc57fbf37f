"""CRLs: a number before the signature, the octets in chunks after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from pikaserver.api.crls import FULL_CRL
from pikaserver.api.errors import Conflict, NotFound
from pikaserver.storage.chunks import chunks
from pikaserver.storage.tables import authority_generation, crl, crl_chunk


@dataclass(frozen=True, slots=True)
class CrlIntent:
    """A reserved CRL number."""

    id: int
    number: int


@dataclass(frozen=True, slots=True)
class CrlRow:
    """A signed CRL without its octets; ``hash`` is SHA-256 of them in hex.

    Of one that awaits its signature there is no hash, and the octets are those to be signed.
    ``revocations`` is how many of the generation's revocations and releases it knows;
    ``base_number`` is that of the full CRL that a delta goes with.
    """

    id: int
    generation_id: int
    scope: str
    number: int
    base_number: int | None
    this_update: datetime
    next_update: datetime
    entries: int
    octets: int
    hash: str | None
    revocations: int


_LOCK = (
    select(authority_generation.c.id)
    .where(authority_generation.c.id == bindparam("generation"))
    .with_for_update(key_share=True)  # certificates of it go on being issued meanwhile
)
_LAST = select(
    sa.func.max(crl.c.number),
    sa.func.max(crl.c.this_update).filter(
        crl.c.state != "abandoned", crl.c.scope == bindparam("of_scope")
    ),
    sa.func.max(crl.c.number).filter(crl.c.scope == bindparam("of_scope")),
).where(crl.c.generation_id == bindparam("generation"))
_INSERT = insert(crl).returning(crl.c.id)
_CHUNK = insert(crl_chunk).inline()
_UNFINISHED = ("intent", "awaiting")
_FINISH = (
    update(crl)
    .where(crl.c.id == bindparam("of_id"), crl.c.state.in_(_UNFINISHED))
    .values(
        state=bindparam("new_state"),
        entries=bindparam("new_entries"),
        octets=bindparam("new_octets"),
        hash=bindparam("new_hash"),
        revocations=bindparam("new_revocations"),
    )
)
_NEWEST = (
    select(
        crl.c.id,
        crl.c.generation_id,
        crl.c.scope,
        crl.c.number,
        crl.c.base_number,
        crl.c.this_update,
        crl.c.next_update,
        crl.c.entries,
        crl.c.octets,
        crl.c.hash,
        crl.c.revocations,
    )
    .where(crl.c.generation_id == bindparam("generation"), crl.c.scope == bindparam("of_scope"))
    .order_by(crl.c.number.desc())
    .limit(1)
)
_LATEST = _NEWEST.where(crl.c.state == "issued")
_AWAITING = _NEWEST.where(crl.c.state == "awaiting")
_OPEN = select(crl.c.id, crl.c.number).where(crl.c.state == "intent").order_by(crl.c.id)
_READ = select(crl_chunk.c.octets).where(
    crl_chunk.c.crl_id == bindparam("of_id"), crl_chunk.c.position == bindparam("at_position")
)
_DROP = delete(crl_chunk).where(crl_chunk.c.crl_id == bindparam("of_id"))
_DROP_OLD = delete(crl_chunk).where(
    crl_chunk.c.crl_id.in_(
        select(crl.c.id).where(
            crl.c.generation_id == bindparam("generation"),
            crl.c.scope == bindparam("of_scope"),
            crl.c.number < bindparam("before"),
        )
    )
)


@dataclass(frozen=True, slots=True)
class NewCrl:
    """What is stored of a CRL before it is signed.

    A delta and the full CRL that are made at the same time have the same number (RFC 5280
    section 5.2.4): it ``shares_number``, unless its scope had that number before.  What others
    signed has an ``exact_number``.
    """

    generation_id: int
    this_update: datetime
    next_update: datetime
    scope: str = FULL_CRL
    shares_number: int | None = None
    exact_number: int | None = None
    base_number: int | None = None


def insert_intent(connection: Connection, new: NewCrl) -> CrlIntent:
    """Reserve the next number of a generation; several makers get several numbers.

    All scopes draw from one sequence, so numbers grow in each of them.

    Raises:
        Conflict: a CRL of that scope with a later ``this_update``, or of that exact number or
            a higher one, exists; neither ever goes back.
        NotFound: no such generation.
    """
    if connection.execute(_LOCK, {"generation": new.generation_id}).one_or_none() is None:
        raise NotFound(f"there is no generation {new.generation_id}")
    number, last, highest = connection.execute(_LAST, _place(new.generation_id, new.scope)).one()
    if last is not None and new.this_update < last:
        raise Conflict(f"the last CRL is of {last:%Y-%m-%d %H:%M:%S}, later than the clock")
    chosen: int = (number or 0) + 1
    if new.shares_number is not None and (highest or 0) < new.shares_number:
        chosen = new.shares_number
    if new.exact_number is not None:
        if highest is not None and new.exact_number <= highest:
            raise Conflict(f"number {new.exact_number} is not newer than {highest}")
        chosen = new.exact_number
    row = {
        "generation_id": new.generation_id,
        "scope": new.scope,
        "number": chosen,
        "base_number": new.base_number,
        "state": "intent",
        "this_update": new.this_update,
        "next_update": new.next_update,
        "entries": 0,
        "octets": 0,
        "revocations": 0,
    }
    crl_id: int = connection.execute(_INSERT, row).scalar_one()
    return CrlIntent(crl_id, chosen)


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


def await_signature(
    connection: Connection, crl_id: int, *, entries: int, octets: int, revocations: int
) -> None:
    """Keep a CRL whose signature comes later; its octets to be signed were written.

    Raises:
        Conflict: it is no intent any more.
    """
    _finish(connection, crl_id, ("awaiting", entries, octets, None, revocations))


def awaiting(connection: Connection, generation_id: int, scope: str = FULL_CRL) -> CrlRow | None:
    """Return the CRL of a scope that awaits its signature, if there is one."""
    row = connection.execute(_AWAITING, _place(generation_id, scope)).one_or_none()
    return None if row is None else CrlRow(*row)


def is_newest(connection: Connection, crl_id: int) -> bool:
    """Tell whether nobody has reserved a later number of the same generation and scope."""
    columns = crl.c.generation_id, crl.c.scope, crl.c.number
    ours = select(*columns).where(crl.c.id == crl_id).subquery()
    same = (crl.c.generation_id == ours.c.generation_id) & (crl.c.scope == ours.c.scope)
    later = select(crl.c.id).join(ours, same).where(crl.c.number > ours.c.number).limit(1)
    return connection.execute(later).first() is None


def abandon(connection: Connection, crl_id: int) -> None:
    """Give up a number; it is never used again.

    Raises:
        Conflict: it is no intent any more.
    """
    connection.execute(_DROP, {"of_id": crl_id})
    _finish(connection, crl_id, ("abandoned", 0, 0, None, 0))


def latest(connection: Connection, generation_id: int, scope: str = FULL_CRL) -> CrlRow:
    """Return the signed CRL of a scope with the highest number.

    Raises:
        NotFound: nothing was signed yet.
    """
    row = connection.execute(_LATEST, _place(generation_id, scope)).one_or_none()
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


def scopes(connection: Connection, generation_id: int) -> list[str]:
    """Return the scopes in which a generation has signed CRLs."""
    statement = (
        select(crl.c.scope)
        .where(crl.c.generation_id == generation_id, crl.c.state == "issued")
        .distinct()
    )
    return sorted(connection.scalars(statement))


def drop_superseded(connection: Connection, row: CrlRow) -> None:
    """Delete the octets of CRLs that this one replaces; their numbers stay on record."""
    values = {"generation": row.generation_id, "of_scope": row.scope, "before": row.number}
    connection.execute(_DROP_OLD, values)


def withdraw_after(connection: Connection, now: datetime) -> int:
    """Give up the CRLs of a time to come, and return how many; their numbers stay on record."""
    ahead = (crl.c.state != "abandoned", crl.c.this_update > now)
    connection.execute(
        delete(crl_chunk).where(crl_chunk.c.crl_id.in_(select(crl.c.id).where(*ahead)))
    )
    return connection.execute(update(crl).where(*ahead).values(state="abandoned")).rowcount


def _place(generation_id: int, scope: str) -> dict[str, object]:
    return {"generation": generation_id, "of_scope": scope}


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
