"""The queue in the database: what is begun is there after a crash, and one node works on it.

A challenge that is ``processing`` belongs in the queue, whether or not its row could be written;
`adopt` finds those that have none.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver_acme.storage.tables import attempt, challenge, validation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
PROCESSING = "processing"


class Turn(NamedTuple):
    """An attempt that this node has to make; the first one has the number 1."""

    challenge_id: int
    number: int


class Lease(NamedTuple):
    """Who works on it, now and until when."""

    node: int
    now: datetime
    until: datetime


def milliseconds(moment: datetime) -> int:
    """Return a time as the tables hold it."""
    return (moment - _EPOCH) // _MILLISECOND


def enter(connection: Connection, challenge_id: int, lease: Lease, *, take: bool) -> Turn | None:
    """Put a challenge into the queue; with ``take`` its first attempt is ours at once.

    Returns:
        The turn, or ``None`` when somebody else has it, or will.
    """
    taken = {"node": lease.node, "leased_until": milliseconds(lease.until)} if take else {}
    row = insert(validation).values(
        challenge_id=challenge_id, attempts=int(take), due_at=milliseconds(lease.now), **taken
    )
    try:
        with connection.begin_nested():
            connection.execute(row)
    except IntegrityError:
        return claim(connection, challenge_id, lease) if take else None
    return Turn(challenge_id, 1) if take else None


def due(connection: Connection, now: datetime, limit: int) -> list[int]:
    """Return the challenges that wait for an attempt, the longest waiting first."""
    at = milliseconds(now)
    found = (
        select(validation.c.challenge_id)
        .where(validation.c.due_at <= at, _free(at))
        .order_by(validation.c.due_at)
        .limit(limit)
    )
    return list(connection.scalars(found))


def claim(connection: Connection, challenge_id: int, lease: Lease) -> Turn | None:
    """Take the next attempt of a challenge, or ``None`` when another node was first."""
    at = milliseconds(lease.now)
    row = validation.c.challenge_id == challenge_id
    taken = (
        update(validation)
        .where(row, validation.c.due_at <= at, _free(at))
        .values(
            attempts=validation.c.attempts + 1,
            node=lease.node,
            leased_until=milliseconds(lease.until),
        )
    )
    if connection.execute(taken).rowcount != 1:
        return None
    return Turn(challenge_id, connection.scalars(select(validation.c.attempts).where(row)).one())


def renew(connection: Connection, challenges: Collection[int], lease: Lease) -> None:
    """Keep what this node is at, or will be soon."""
    mine = validation.c.challenge_id.in_(challenges) & (validation.c.node == lease.node)
    until = milliseconds(lease.until)
    connection.execute(update(validation).where(mine).values(leased_until=until))


def postpone(connection: Connection, challenge_id: int, until: datetime) -> None:
    """Let another attempt be made at a time, by whichever node."""
    row = update(validation).where(validation.c.challenge_id == challenge_id)
    connection.execute(row.values(due_at=milliseconds(until), node=None, leased_until=None))


def leave(connection: Connection, challenges: Collection[int]) -> None:
    """Take out what is settled."""
    connection.execute(delete(validation).where(validation.c.challenge_id.in_(challenges)))


def release(connection: Connection, node: int) -> int:
    """Give back what a stopped process of this node was at; return how many these are."""
    mine = update(validation).where(validation.c.node == node)
    return connection.execute(mine.values(node=None, leased_until=None)).rowcount


def orphans(connection: Connection) -> list[int]:
    """Return challenges that should be in the queue and are not."""
    queued = exists().where(validation.c.challenge_id == challenge.c.id)
    return list(
        connection.scalars(
            select(challenge.c.id).where(challenge.c.status == PROCESSING, ~queued).limit(1000)
        )
    )


def waiting(connection: Connection) -> int:
    """Return how many challenges are in the queue, on all nodes."""
    return connection.scalar(select(func.count()).select_from(validation)) or 0


def note(connection: Connection, turn: Turn, at: datetime, lines: Sequence[str]) -> None:
    """Keep what an attempt saw."""
    rows = [
        {
            "challenge_id": turn.challenge_id,
            "number": turn.number,
            "at": milliseconds(at),
            "line": line,
        }
        for line in lines
    ]
    if rows:
        connection.execute(insert(attempt), rows)


def _free(at: int) -> ColumnElement[bool]:
    return or_(validation.c.leased_until.is_(None), validation.c.leased_until < at)
