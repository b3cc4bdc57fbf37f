"""Authorizations and their challenges in the database."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    Update,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.engine import RowMapping

from pikaserver_acme.identifiers import DNS, Identifier
from pikaserver_acme.records import Authorization, Challenge, Status
from pikaserver_acme.storage.statements import Asked, changed, insert, insert_all
from pikaserver_acme.storage.tables import (
    attempt,
    authorization,
    challenge,
    order_authorization,
)

_OPEN = (Status.PENDING.value, Status.VALID.value)
_FEW, _MANY = 8, 250
"""How many values a question has places for: the usual one, and one for long orders."""
_OF_ORDER = Asked(
    select(authorization)
    .join(order_authorization, order_authorization.c.authorization_id == authorization.c.id)
    .where(order_authorization.c.order_id == bindparam("of_id"))
)


def add(
    connection: Connection, row: Mapping[str, object], challenges: Sequence[Mapping[str, object]]
) -> int:
    """Store an authorization with its challenges; return its number."""
    authorization_id = insert(connection, authorization, row)
    rows = [{**one, "authorization_id": authorization_id} for one in challenges]
    insert_all(connection, challenge, rows)
    return authorization_id


def get(connection: Connection, authorization_id: int) -> Authorization | None:
    """Return the authorization of a number."""
    found = _all(connection, select(authorization).where(authorization.c.id == authorization_id))
    return found[0] if found else None


def of_order(connection: Connection, order_id: int) -> list[Authorization]:
    """Return the authorizations that an order needs."""
    return [_authorization(row) for row in _OF_ORDER.all(connection, of_id=order_id)]


def valid_ones(
    connection: Connection, account_id: int, values: Sequence[str], now: int
) -> list[Authorization]:
    """Return what an account has proved of these identifiers' values, newest last."""
    found: list[Authorization] = []
    size = _FEW if len(values) <= _FEW else _MANY
    for first in range(0, len(values), size):
        some = tuple(values[first : first + size])
        # One text for any number of them: in the places that are left the first is said again.
        places = dict(zip(_places(size), some + some[:1] * size, strict=False))
        rows = _valid(size).all(connection, of_account=account_id, now=now, **places)
        found += [_authorization(row) for row in rows]
    return sorted(found, key=lambda one: one.id)


def validate(
    connection: Connection, authorization_id: int, challenge_type: str, facts: str | None, now: int
) -> bool:
    """Make a pending authorization valid."""
    return changed(
        connection,
        _in_state(authorization_id, Status.PENDING).values(
            status=Status.VALID.value,
            validated_at=now,
            validated_by=challenge_type,
            facts=facts,
        ),
    )


def invalidate(connection: Connection, authorization_id: int) -> bool:
    """Make a pending authorization invalid."""
    statement = _in_state(authorization_id, Status.PENDING)
    return changed(connection, statement.values(status=Status.INVALID.value))


def deactivate(connection: Connection, authorization_id: int) -> bool:
    """Give an authorization up (RFC 8555 section 7.5.2)."""
    statement = update(authorization).where(
        authorization.c.id == authorization_id, authorization.c.status.in_(_OPEN)
    )
    return changed(connection, statement.values(status=Status.DEACTIVATED.value))


def deactivate_all_of(connection: Connection, account_id: int) -> None:
    """Give all authorizations of an account up."""
    statement = update(authorization).where(
        authorization.c.account_id == account_id, authorization.c.status.in_(_OPEN)
    )
    connection.execute(statement.values(status=Status.DEACTIVATED.value))


def count_pending(connection: Connection, account_id: int, now: int) -> int:
    """Return how many proofs an account owes."""
    statement = select(func.count()).where(
        authorization.c.account_id == account_id,
        # Written as in the partial index: a bound value would hide from SQLite that it fits.
        authorization.c.status == literal_column("'pending'"),
        authorization.c.expires_at > now,
    )
    return connection.scalar(statement) or 0


def challenges_of(connection: Connection, authorization_ids: Sequence[int]) -> list[Challenge]:
    """Return the challenges of some authorizations."""
    statement = select(challenge).where(challenge.c.authorization_id.in_(authorization_ids))
    rows = connection.execute(statement.order_by(challenge.c.id)).mappings()
    return [_challenge(row) for row in rows]


def get_challenge(connection: Connection, challenge_id: int) -> Challenge | None:
    """Return the challenge of a number."""
    row = connection.execute(select(challenge).where(challenge.c.id == challenge_id)).mappings()
    found = row.one_or_none()
    return None if found is None else _challenge(found)


def begin(connection: Connection, challenge_id: int, response: bytes, now: int) -> bool:
    """Note that a client is ready to be asked; ``False``: it was before."""
    statement = update(challenge).where(
        challenge.c.id == challenge_id, challenge.c.status == Status.PENDING.value
    )
    values = {"status": Status.PROCESSING.value, "response": response, "begun_at": now}
    return changed(connection, statement.values(values))


def settle(
    connection: Connection, challenge_id: int, status: Status, error: str | None, now: int
) -> bool:
    """End a challenge; ``False``: it was settled before."""
    statement = update(challenge).where(
        challenge.c.id == challenge_id, challenge.c.status == Status.PROCESSING.value
    )
    at = now if status is Status.VALID else None
    return changed(connection, statement.values(status=status.value, error=error, validated_at=at))


def attempts_of(connection: Connection, challenge_id: int) -> list[dict[str, object]]:
    """Return what was tried: number, time and one sentence each."""
    columns = (attempt.c.number, attempt.c.at, attempt.c.line)
    statement = select(*columns).where(attempt.c.challenge_id == challenge_id)
    rows = connection.execute(statement.order_by(attempt.c.id)).mappings()
    return [dict(row) for row in rows]


def note(connection: Connection, challenge_id: int, lines: Sequence[str], now: int) -> None:
    """Keep what the last attempt saw, after those before it."""
    before = select(func.max(attempt.c.number)).where(attempt.c.challenge_id == challenge_id)
    number = (connection.scalar(before) or 0) + 1
    row = {"challenge_id": challenge_id, "number": number, "at": now}
    insert_all(connection, attempt, [{**row, "line": line} for line in lines])


def covering(found: Sequence[Authorization], asked: Identifier) -> Authorization | None:
    """Return which of the authorizations proves an identifier, if any.

    A proof counts for its own identifier, and with RFC 9444 for names below it.  One for a
    name is none for the wildcard below it.
    """
    for one in reversed(found):
        if one.proves == asked:
            return one
    for one in reversed(found):
        below = asked.base.endswith(f".{one.identifier.value}")
        same = asked.wildcard and asked.base == one.identifier.value
        if one.subdomains and one.identifier.type == asked.type == DNS and (below or same):
            return one
    return None


def ancestors(asked: Identifier) -> list[str]:
    """Return a name's own value and those above it, for which a proof might count."""
    if asked.type != DNS:
        return [asked.value]
    labels = asked.base.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _places(size: int) -> list[str]:
    return [f"value_{number}" for number in range(size)]


@cache
def _valid(size: int) -> Asked:
    places: list[BindParameter[str]] = [bindparam(place) for place in _places(size)]
    return Asked(
        select(authorization).where(
            authorization.c.account_id == bindparam("of_account"),
            authorization.c.identifier_value.in_(places),
            authorization.c.status == Status.VALID.value,
            authorization.c.expires_at > bindparam("now"),
        )
    )


def _in_state(authorization_id: int, status: Status) -> Update:
    return update(authorization).where(
        authorization.c.id == authorization_id, authorization.c.status == status.value
    )


def _all(connection: Connection, statement: Select[*tuple[object, ...]]) -> list[Authorization]:
    return [_authorization(dict(row)) for row in connection.execute(statement).mappings()]


def _authorization(row: Mapping[str, Any]) -> Authorization:
    values = dict(row)
    kind, value = values.pop("identifier_type"), values.pop("identifier_value")
    facts = values.pop("facts")
    return Authorization(
        **values | {"status": Status(values["status"])},
        identifier=Identifier(kind, value),
        facts={} if facts is None else json.loads(facts),
    )


def _challenge(row: RowMapping) -> Challenge:
    values = dict(row)
    values["status"] = Status(values["status"])
    values["error"] = None if values["error"] is None else json.loads(values["error"])
    return Challenge(**values)
