"""Accounts in the database."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from pikaserver_acme.policies.rules import stored_rules
from pikaserver_acme.records import Account, Policy, Status
from pikaserver_acme.storage.statements import Asked, changed, insert_unless_there
from pikaserver_acme.storage.tables import account, policy

_WITH_POLICY = Asked(
    select(account, policy.c.name, policy.c.rules, policy.c.enabled)
    .join(policy, policy.c.id == account.c.policy_id)
    .where(account.c.id == bindparam("of_id"))
)


def get(connection: Connection, account_id: int) -> Account | None:
    """Return the account of a number."""
    return _one(connection, account.c.id == account_id)


def with_policy(connection: Connection, account_id: int) -> tuple[Account, Policy] | None:
    """Return the account of a number and its policy, at once."""
    row = _WITH_POLICY.one(connection, of_id=account_id)
    if row is None:
        return None
    rules = stored_rules(row["rules"])
    return _account(row), Policy(row["policy_id"], row["name"], rules, row["enabled"])


def by_key(connection: Connection, policy_id: int, thumbprint: str) -> Account | None:
    """Return the account of a key under a policy."""
    of_key = account.c.thumbprint == thumbprint
    return _one(connection, (account.c.policy_id == policy_id) & of_key)


def add(connection: Connection, row: Mapping[str, object]) -> bool:
    """Store an account; ``False``: its key has one already."""
    return insert_unless_there(connection, account, row)


def set_contacts(connection: Connection, account_id: int, contacts: tuple[str, ...]) -> None:
    """Change how the holder is reached."""
    values = {"contacts": json.dumps(contacts)}
    connection.execute(update(account).where(account.c.id == account_id).values(values))


def agree(connection: Connection, account_id: int, now: int) -> None:
    """Note that the holder agrees to the terms."""
    values = {"terms_agreed_at": now}
    connection.execute(update(account).where(account.c.id == account_id).values(values))


def end(connection: Connection, account_id: int, status: Status) -> bool:
    """Deactivate or revoke an account; ``False``: it is not valid any more."""
    statement = update(account).where(
        account.c.id == account_id, account.c.status == Status.VALID.value
    )
    return changed(connection, statement.values(status=status.value))


def set_key(connection: Connection, account_id: int, old: str, text: str, new: str) -> bool:
    """Change the key; ``old`` and ``new`` are thumbprints.

    ``False``: it has changed meanwhile, or another node has just given the new one away.
    """
    statement = update(account).where(
        account.c.id == account_id,
        account.c.thumbprint == old,
        account.c.status == Status.VALID.value,
    )
    try:
        with connection.begin_nested():
            return changed(connection, statement.values(key=text, thumbprint=new))
    except IntegrityError:
        return False


def count_from(connection: Connection, policy_id: int, address: str, since: int) -> int:
    """Return how many accounts an address made under a policy since then."""
    statement = select(func.count()).where(
        account.c.address == address,
        account.c.created_at > since,
        account.c.policy_id == policy_id,
    )
    return connection.scalar(statement) or 0


def page(
    connection: Connection, policy_id: int | None, after: int | None, limit: int
) -> list[Account]:
    """Return accounts, newest first."""
    statement = select(account).order_by(account.c.id.desc()).limit(limit)
    if policy_id is not None:
        statement = statement.where(account.c.policy_id == policy_id)
    if after is not None:
        statement = statement.where(account.c.id < after)
    return [_account(dict(row)) for row in connection.execute(statement).mappings()]


def _one(connection: Connection, condition: ColumnElement[bool]) -> Account | None:
    row = connection.execute(select(account).where(condition)).mappings().one_or_none()
    return None if row is None else _account(dict(row))


def _account(row: Mapping[str, Any]) -> Account:
    values = {column.name: row[column.name] for column in account.c}
    values["contacts"] = tuple(json.loads(values["contacts"]))
    values["status"] = Status(values["status"])
    return Account(**values)
