"""Octets that people have to approve at an agent, as far as this server knows of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import approval


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """What waits: ``approval`` is the SHA-256 that approvers sign, ``agent`` who has the octets."""

    approval: bytes
    agent: str
    spki_hash: bytes
    purpose: str
    why: str
    since: int


_ROWS = select(
    approval.c.approval,
    approval.c.agent,
    approval.c.spki_hash,
    approval.c.purpose,
    approval.c.why,
    approval.c.since,
).order_by(approval.c.since)


def list_all(connection: Connection) -> Sequence[ApprovalRow]:
    """Return what waits, the oldest first."""
    return [ApprovalRow(*row) for row in connection.execute(_ROWS)]


def add(connection: Connection, row: ApprovalRow) -> bool:
    """Remember that something waits; ``False`` if that is known."""
    values = {
        "approval": row.approval,
        "agent": row.agent,
        "spki_hash": row.spki_hash,
        "purpose": row.purpose,
        "why": row.why,
        "since": row.since,
    }
    revisions.advance(connection)
    return revisions.insert_unless_there(connection, approval, values)


def remove(connection: Connection, digest: bytes) -> None:
    """Forget what waits no longer."""
    revisions.advance(connection)
    connection.execute(delete(approval).where(approval.c.approval == digest))
