"""Leases: of several nodes, one runs a job at a time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.faults import is_duplicate
from pikaserver.storage.tables import job_lease


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a job until when, and how its last run ended."""

    name: str
    holder: str
    until: datetime
    last_run_at: datetime | None
    last_error: str | None


_TAKE = (
    update(job_lease)
    .where(
        job_lease.c.name == bindparam("of_name"),
        or_(
            job_lease.c.holder == bindparam("by_holder"),
            job_lease.c.until <= bindparam("now", type_=UtcDateTime),
        ),
    )
    .values(holder=bindparam("by_holder"), until=bindparam("new_until"))
)
_GIVE = (
    update(job_lease)
    .where(job_lease.c.name == bindparam("of_name"), job_lease.c.holder == bindparam("by_holder"))
    .values(
        until=bindparam("new_until"),
        last_run_at=bindparam("new_until"),
        last_error=bindparam("new_error"),
    )
)
_INSERT = insert(job_lease).inline()
_ALL = select(
    job_lease.c.name,
    job_lease.c.holder,
    job_lease.c.until,
    job_lease.c.last_run_at,
    job_lease.c.last_error,
).order_by(job_lease.c.name)


def acquire(connection: Connection, name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take a lease that is free, expired or ours already; ``False`` if another one holds it."""
    taken = {"of_name": name, "by_holder": holder, "now": now, "new_until": until}
    if connection.execute(_TAKE, taken).rowcount == 1:
        return True
    try:
        with connection.begin_nested():
            connection.execute(_INSERT, {"name": name, "holder": holder, "until": until})
    except IntegrityError as error:
        if is_duplicate(error):
            return False
        raise
    return True


def release(
    connection: Connection, name: str, holder: str, *, at: datetime, error: str | None = None
) -> bool:
    """Give a lease back and note how the run ended; ``False`` if another one took it over."""
    given = {"of_name": name, "by_holder": holder, "new_until": at, "new_error": error}
    return connection.execute(_GIVE, given).rowcount == 1


def take_over(connection: Connection, holders: str, now: datetime) -> int:
    """End the leases of holders whose names begin so, and return how many there were.

    For a node that starts: what a process of its own held when it was killed is free.
    """
    mine = job_lease.c.holder.startswith(holders, autoescape=True)
    statement = update(job_lease).where(mine, job_lease.c.until > now).values(until=now)
    return connection.execute(statement).rowcount


def list(connection: Connection) -> tuple[Lease, ...]:  # noqa: A001 - read as leases.list
    """Return all leases by name, expired ones too."""
    return tuple(Lease(*row) for row in connection.execute(_ALL))
