"""Policies in the database."""

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.elements import ColumnElement

from pikaserver_acme.policies.rules import PolicyRules, stored_rules, written_rules
from pikaserver_acme.records import Policy
from pikaserver_acme.storage.statements import changed
from pikaserver_acme.storage.tables import policy

COLUMNS = (policy.c.id, policy.c.name, policy.c.rules, policy.c.enabled)


def find(connection: Connection, name: str) -> Policy | None:
    """Return the policy of a name."""
    return _one(connection, policy.c.name == name)


def get(connection: Connection, policy_id: int) -> Policy | None:
    """Return the policy of a number."""
    return _one(connection, policy.c.id == policy_id)


def list_all(connection: Connection) -> list[Policy]:
    """Return all policies by name."""
    statement = select(*COLUMNS).order_by(policy.c.name)
    return [_policy(row) for row in connection.execute(statement).mappings()]


def put(connection: Connection, name: str, rules: PolicyRules, now: int, actor: str) -> None:
    """Store a policy, new or in place of the one of that name."""
    values = {"rules": written_rules(rules), "changed_at": now, "changed_by": actor}
    there = update(policy).where(policy.c.name == name).values(values)
    if not changed(connection, there):
        connection.execute(
            insert(policy), {"name": name, "enabled": True, "created_at": now, **values}
        )


def set_enabled(connection: Connection, name: str, now: int, actor: str, *, enabled: bool) -> bool:
    """Open or close a directory; ``False``: there is none."""
    values = {"enabled": enabled, "changed_at": now, "changed_by": actor}
    return changed(connection, update(policy).where(policy.c.name == name).values(values))


def _one(connection: Connection, condition: ColumnElement[bool]) -> Policy | None:
    row = connection.execute(select(*COLUMNS).where(condition)).mappings().one_or_none()
    return None if row is None else _policy(row)


def _policy(row: RowMapping) -> Policy:
    return Policy(row["id"], row["name"], stored_rules(row["rules"]), row["enabled"])
