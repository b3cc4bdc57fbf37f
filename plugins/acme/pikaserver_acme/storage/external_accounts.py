"""Registrations for external account binding in the database."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select, update
from sqlalchemy.engine import RowMapping

from pikaserver_acme.records import ExternalAccount
from pikaserver_acme.storage.statements import changed, insert
from pikaserver_acme.storage.tables import external_account as table


def add(connection: Connection, row: Mapping[str, object]) -> int:
    """Store a registration and return its number."""
    return insert(connection, table, row)


def find(connection: Connection, policy_id: int, kid: str) -> ExternalAccount | None:
    """Return the registration of a key identifier under a policy."""
    statement = select(table).where(table.c.policy_id == policy_id, table.c.kid == kid)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _external(row)


def get(connection: Connection, external_id: int) -> ExternalAccount | None:
    """Return the registration of a number."""
    row = connection.execute(select(table).where(table.c.id == external_id)).mappings()
    found = row.one_or_none()
    return None if found is None else _external(found)


def spend(connection: Connection, external_id: int, now: int) -> bool:
    """Use a registration once; ``False``: it is used up, expired or withdrawn."""
    statement = update(table).where(
        table.c.id == external_id,
        table.c.uses_left > 0,
        table.c.expires_at > now,
        table.c.withdrawn_at.is_(None),
    )
    return changed(connection, statement.values(uses_left=table.c.uses_left - 1))


def withdraw(connection: Connection, kid: str, now: int) -> bool:
    """Make a registration worthless for new accounts; ``False``: it is already, or not there."""
    statement = update(table).where(table.c.kid == kid, table.c.withdrawn_at.is_(None))
    return changed(connection, statement.values(withdrawn_at=now))


def list_all(connection: Connection, policy_id: int | None) -> list[ExternalAccount]:
    """Return registrations, newest first."""
    statement = select(table).order_by(table.c.id.desc())
    if policy_id is not None:
        statement = statement.where(table.c.policy_id == policy_id)
    return [_external(row) for row in connection.execute(statement).mappings()]


def _external(row: RowMapping) -> ExternalAccount:
    values = dict(row)
    values["allow"] = tuple(json.loads(values["allow"]))
    return ExternalAccount(**values)
