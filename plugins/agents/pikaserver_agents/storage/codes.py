"""Enrolment codes: of the token only a hash is kept, and it is good once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, insert, select, update

from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import code


class Purpose(StrEnum):
    """What a code is good for."""

    ENROLL = "enroll"
    ROTATE = "rotate"


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code: for which agent it is, and what happens with it.

    ``confirm`` says that somebody has to approve the agent afterwards; ``named`` by which
    generations of keys the code names nodes, see `generations`.
    """

    token_hash: bytes
    agent: str
    purpose: Purpose
    offline: bool
    confirm: bool
    expires_at: int
    used_at: int | None = None
    created_by: str = ""
    named: str = ""


def named(generations: Mapping[int, int]) -> str:
    """Return generations by the numbers of nodes as a code keeps them: ``1:0 2:3``."""
    return " ".join(f"{number}:{generation}" for number, generation in generations.items())


def generations(row: CodeRow) -> Mapping[int, int]:
    """Return what `named` wrote; codes of older servers have nothing."""
    pairs = (pair.partition(":") for pair in row.named.split())
    return {int(number): int(generation) for number, _, generation in pairs}


def hash_of(token: bytes) -> bytes:
    """Return what is stored of a token; it has 128 random bits, so nothing slower is needed."""
    return hashlib.sha256(token).digest()


def add(connection: Connection, row: CodeRow) -> None:
    """Store a code; codes for the same agent that were not used are worthless from now on."""
    revisions.advance(connection)
    connection.execute(
        update(code).where(code.c.agent == row.agent, code.c.used_at.is_(None)).values(expires_at=0)
    )
    connection.execute(
        insert(code).values(
            token_hash=row.token_hash,
            agent=row.agent,
            purpose=row.purpose,
            offline=row.offline,
            confirm=row.confirm,
            expires_at=row.expires_at,
            used_at=row.used_at,
            created_by=row.created_by,
            named=row.named,
        )
    )


def find(connection: Connection, token_hash: bytes) -> CodeRow | None:
    """Return a code, a used or expired one too."""
    row = connection.execute(
        select(
            code.c.token_hash,
            code.c.agent,
            code.c.purpose,
            code.c.offline,
            code.c.confirm,
            code.c.expires_at,
            code.c.used_at,
            code.c.created_by,
            code.c.named,
        ).where(code.c.token_hash == token_hash)
    ).one_or_none()
    if row is None:
        return None
    return CodeRow(
        token_hash=row.token_hash,
        agent=row.agent,
        purpose=Purpose(row.purpose),
        offline=row.offline,
        confirm=row.confirm,
        expires_at=row.expires_at,
        used_at=row.used_at,
        created_by=row.created_by,
        named=row.named,
    )


def spend(connection: Connection, token_hash: bytes, now: int) -> bool:
    """Use a code; ``False`` if it was used before, or is too old."""
    revisions.advance(connection)
    spent = connection.execute(
        update(code)
        .where(code.c.token_hash == token_hash, code.c.used_at.is_(None), code.c.expires_at > now)
        .values(used_at=now)
    )
    return spent.rowcount == 1


def open_until(connection: Connection) -> int:
    """Return when the last code ends that an agent could still come with; 0 for none."""
    found = connection.scalar(
        select(func.max(code.c.expires_at)).where(
            code.c.used_at.is_(None), code.c.offline.is_(False)
        )
    )
    return found or 0
