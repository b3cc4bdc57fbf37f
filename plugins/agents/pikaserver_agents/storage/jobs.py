"""Requests to agents that this process has no line to: relayed by a node, or carried by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from pikaserver.api.prepared import Prepared
from pikaserver_agents.storage.tables import job


class Way(StrEnum):
    """How a request travels."""

    RELAY = "relay"
    OFFLINE = "offline"


class JobState(StrEnum):
    """How far a request is."""

    NEW = "new"
    CLAIMED = "claimed"
    """A node with a line has it, or it was written into a bundle."""
    ANSWERED = "answered"
    LOST = "lost"
    """The line broke; whether the agent has done it is not known.  Or ``answer`` is why not."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One request.

    ``deed`` is a hash that the same wish has again; ``message`` is the request as CBOR, of a
    request by hand; ``frame`` is sealed by the asking ``node`` under ``sequence``; ``answer`` is
    the answering frame, or message.  Nobody takes it up after ``deadline``.
    """

    id: bytes
    agent: str
    way: Way
    node: int
    created_at: int
    deadline: int
    state: JobState = JobState.NEW
    deed: bytes = b""
    message: bytes = b""
    frame: bytes = b""
    sequence: int = 0
    answer: bytes = b""


_ROWS = select(
    job.c.id,
    job.c.agent,
    job.c.way,
    job.c.node,
    job.c.created_at,
    job.c.deadline,
    job.c.state,
    job.c.deed,
    job.c.message,
    job.c.frame,
    job.c.sequence,
    job.c.answer,
)
_NAMES = _ROWS.selected_columns.keys()
# Nodes ask these many times a second: for the end of a request, and for new ones, in vain mostly.
_BY_ID = Prepared(_ROWS.where(job.c.id == bindparam("of_id")))
_RELAYED = (
    job.c.way == Way.RELAY,
    job.c.state == JobState.NEW,
    job.c.deadline > bindparam("now"),
)
_ANY_NEW = Prepared(select(job.c.id).where(*_RELAYED).limit(1))
_NEW = (
    _ROWS.where(*_RELAYED, job.c.agent.in_(bindparam("agents", expanding=True)))
    .order_by(job.c.created_at)
    .limit(bindparam("most", type_=Integer))
)


def add(connection: Connection, row: JobRow) -> None:
    """Store a request."""
    connection.execute(
        insert(job).values(
            id=row.id,
            agent=row.agent,
            way=row.way,
            node=row.node,
            created_at=row.created_at,
            deadline=row.deadline,
            state=row.state,
            deed=row.deed,
            message=row.message,
            frame=row.frame,
            sequence=row.sequence,
            answer=row.answer,
        )
    )


def find(connection: Connection, job_id: bytes) -> JobRow | None:
    """Return one request."""
    found = _BY_ID.row(connection, {"of_id": job_id})
    return None if found is None else _row(dict(zip(_NAMES, found, strict=True)))


def by_deed(connection: Connection, agent: str, deed: bytes) -> JobRow | None:
    """Return the request that wishes the same of an agent without a line."""
    wanted = _ROWS.where(job.c.agent == agent, job.c.deed == deed, job.c.way == Way.OFFLINE)
    row = connection.execute(wanted.order_by(job.c.created_at).limit(1)).mappings().one_or_none()
    return None if row is None else _row(row)


def new_for(connection: Connection, agents: Sequence[str], now: int, most: int) -> Sequence[JobRow]:
    """Return requests to be relayed to some agents, the oldest first."""
    if not _ANY_NEW.yields(connection, {"now": now}):
        return []
    rows = connection.execute(_NEW, {"agents": agents, "now": now, "most": most})
    return [_row(row) for row in rows.mappings()]


def for_bundle(connection: Connection, agent: str, now: int) -> Sequence[JobRow]:
    """Return the requests that wait for an agent without a line, carried before or not."""
    wanted = _ROWS.where(
        job.c.way == Way.OFFLINE,
        job.c.agent == agent,
        job.c.state.in_((JobState.NEW, JobState.CLAIMED)),
        job.c.deadline > now,
    )
    rows = connection.execute(wanted.order_by(job.c.created_at))
    return [_row(row) for row in rows.mappings()]


def claim(connection: Connection, job_id: bytes) -> bool:
    """Take a request for this node; ``False`` if another one has it."""
    return _move(connection, job_id, JobState.NEW, JobState.CLAIMED)


def withdraw(connection: Connection, job_id: bytes) -> bool:
    """Take a request back; ``False`` if somebody has it already."""
    gone = delete(job).where(job.c.id == job_id, job.c.state == JobState.NEW)
    return connection.execute(gone).rowcount == 1


def lose(connection: Connection, job_id: bytes, why: bytes = b"") -> None:
    """Note that the line broke before an answer came, or why the agent did not read the frame."""
    lost = update(job).where(job.c.id == job_id, job.c.state == JobState.CLAIMED)
    connection.execute(lost.values(state=JobState.LOST, answer=why))


def mark_carried(connection: Connection, job_id: bytes, sequence: int, frame: bytes) -> None:
    """Note that a request was written into a bundle, as this frame."""
    connection.execute(
        update(job)
        .where(job.c.id == job_id)
        .values(state=JobState.CLAIMED, sequence=sequence, frame=frame)
    )


def answer(connection: Connection, job_id: bytes, octets: bytes) -> bool:
    """Store the answer; ``False`` if nobody waits for one."""
    stored = connection.execute(
        update(job)
        .where(job.c.id == job_id, job.c.state.in_((JobState.CLAIMED, JobState.NEW)))
        .values(state=JobState.ANSWERED, answer=octets)
    )
    return stored.rowcount == 1


def reopen(connection: Connection, job_id: bytes) -> None:
    """Let a request be taken up again."""
    connection.execute(update(job).where(job.c.id == job_id).values(state=JobState.NEW))


def remove(connection: Connection, job_id: bytes) -> None:
    """Forget a request."""
    connection.execute(delete(job).where(job.c.id == job_id))


def remove_old(connection: Connection, before: int) -> int:
    """Forget requests whose deadline lies before a time; return how many there were."""
    return connection.execute(delete(job).where(job.c.deadline < before)).rowcount


def any_old(connection: Connection, before: int) -> bool:
    """Tell whether `remove_old` would find something."""
    found = connection.execute(select(job.c.id).where(job.c.deadline < before).limit(1))
    return found.one_or_none() is not None


def waiting_counts(connection: Connection, agent: str) -> tuple[int, int]:
    """Return how many requests wait to be carried to an agent, and how many were carried."""
    states = [
        state
        for (state,) in connection.execute(
            select(job.c.state).where(
                job.c.agent == agent,
                job.c.way == Way.OFFLINE,
                or_(job.c.state == JobState.NEW, job.c.state == JobState.CLAIMED),
            )
        )
    ]
    return states.count(JobState.NEW), states.count(JobState.CLAIMED)


def _move(connection: Connection, job_id: bytes, before: JobState, after: JobState) -> bool:
    moved = update(job).where(job.c.id == job_id, job.c.state == before).values(state=after)
    return connection.execute(moved).rowcount == 1


def _row(values: Mapping[Any, Any]) -> JobRow:
    words = {"way": Way(values["way"]), "state": JobState(values["state"])}
    return JobRow(**{**values, **words})
