"""Enrolment codes: a user name and a secret that is good for some certificates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import Conflict
from pikaserver.api.prepared import Prepared
from pikaserver.storage.code_table import enrollment_code
from pikaserver.storage.faults import is_duplicate
from pikaserver.storage.tables import template


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code to be stored; ``code_hash`` is SHA-256 of its 128 random bits or more."""

    user: str
    code_hash: bytes
    template_id: int
    uses_left: int
    expires_at: datetime
    common_name: str | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A stored code with the name of its template."""

    id: int
    user: str
    code_hash: bytes
    template: str
    uses_left: int
    expires_at: datetime
    common_name: str | None
    created_at: datetime
    created_by: str


_ROW = select(
    enrollment_code.c.id,
    enrollment_code.c.user,
    enrollment_code.c.code_hash,
    template.c.name,
    enrollment_code.c.uses_left,
    enrollment_code.c.expires_at,
    enrollment_code.c.common_name,
    enrollment_code.c.created_at,
    enrollment_code.c.created_by,
).join_from(enrollment_code, template, template.c.id == enrollment_code.c.template_id)
_BY_USER = Prepared(_ROW.where(enrollment_code.c.user == bindparam("of_user")))
_ALL = _ROW.order_by(enrollment_code.c.id.desc())
_INSERT = sa.insert(enrollment_code).returning(enrollment_code.c.id)
_SPEND = Prepared(
    update(enrollment_code)
    .where(
        enrollment_code.c.id == bindparam("of_id"),
        enrollment_code.c.uses_left > 0,
        enrollment_code.c.expires_at > bindparam("now", type_=enrollment_code.c.expires_at.type),
    )
    .values(uses_left=enrollment_code.c.uses_left - 1)
)
_RESTORE = (
    update(enrollment_code)
    .where(enrollment_code.c.id == bindparam("of_id"))
    .values(uses_left=enrollment_code.c.uses_left + 1)
)
# It ends now, too: a use that is given back later is worth nothing.
_WITHDRAW = (
    update(enrollment_code)
    .where(
        enrollment_code.c.user == bindparam("of_user"),
        enrollment_code.c.expires_at > bindparam("now", type_=enrollment_code.c.expires_at.type),
    )
    .values(uses_left=0, expires_at=bindparam("now", type_=enrollment_code.c.expires_at.type))
)


def insert(connection: Connection, new: NewCode) -> int:
    """Store a code and return its id.

    Raises:
        Conflict: the user name is taken; the transaction is to be left.
    """
    try:
        code_id: int = connection.execute(_INSERT, asdict(new)).scalar_one()
    except IntegrityError as error:
        if is_duplicate(error):
            raise Conflict(f"there is a code for {new.user!r} already") from error
        raise
    return code_id


def find(connection: Connection, user: str) -> CodeRow | None:
    """Return the code of a user, spent and expired ones too; ``None`` if there was never one."""
    row = _BY_USER.row(connection, {"of_user": user})
    return None if row is None else CodeRow(*row)


def spend(connection: Connection, code_id: int, now: datetime) -> bool:
    """Use a code once; ``False`` if it is spent, withdrawn or expired."""
    return _SPEND.run(connection, {"of_id": code_id, "now": now}) == 1


def restore(connection: Connection, code_id: int) -> None:
    """Give one use back."""
    connection.execute(_RESTORE, {"of_id": code_id})


def list(connection: Connection) -> Sequence[CodeRow]:  # noqa: A001 - read as codes.list
    """Return all codes, newest first."""
    return [CodeRow(*row) for row in connection.execute(_ALL)]


def withdraw(connection: Connection, user: str, now: datetime) -> bool:
    """Make a code useless for good; ``False`` if there is none or it is over already."""
    return connection.execute(_WITHDRAW, {"of_user": user, "now": now}).rowcount == 1
