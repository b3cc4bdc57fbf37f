"""Publications: what each target has, and what could not be pushed to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.storage.faults import is_duplicate
from pikaserver.storage.publication_table import publication
from pikaserver.storage.tables import certificate, hold_release

TARGET = "target"
"""The kind of the row that tells of a target as a whole; its version stands for its place."""
CERTIFICATE = "certificate"
CRL = "crl"
STATUSES = "statuses"


class Item(NamedTuple):
    """What is pushed to a target, whatever its version."""

    kind: str
    authority: str = ""
    generation: int = 0
    scope: str = ""


WHOLE_TARGET = Item(TARGET)


@dataclass(frozen=True, slots=True)
class Publication:
    """How far a target is with one item; an empty ``version``: it has to be pushed (again)."""

    target: str
    node: int
    item: Item
    version: str = ""
    number: int = 0
    published_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    error: str | None = None


_KEYS = ("target", "node", "kind", "authority", "generation", "scope")
_of_row = sa.and_(*(publication.c[name] == bindparam(f"of_{name}") for name in _KEYS))
_UPDATE = (
    update(publication)
    .where(_of_row, publication.c.version == bindparam("old_version"))
    .values(
        version=bindparam("new_version"),
        number=bindparam("new_number"),
        published_at=bindparam("new_published_at"),
        failures=bindparam("new_failures"),
        failing_since=bindparam("new_failing_since"),
        retry_at=bindparam("new_retry_at"),
        error=bindparam("new_error"),
    )
)
_AGAIN = update(publication).where(_of_row).values(version="")
_INSERT = insert(publication).inline()


def read(connection: Connection, target: str, node: int) -> dict[Item, Publication]:
    """Return all that is known of a target; ``node`` is 0 where one pushes for all."""
    statement = select(publication).where(
        publication.c.target == target, publication.c.node == node
    )
    found = [_publication(row) for row in connection.execute(statement)]
    return {one.item: one for one in found}


def read_all(connection: Connection, target: str) -> list[Publication]:
    """Return all that is known of a target, on all nodes."""
    statement = select(publication).where(publication.c.target == target).order_by(*_order())
    return [_publication(row) for row in connection.execute(statement)]


def replace(connection: Connection, old: Publication | None, new: Publication) -> bool:
    """Store how far a target is; ``False`` when another node wrote since ``old`` was read."""
    values = {name: getattr(new, name) for name in _STATE}
    if old is not None:
        changed = {f"new_{name}": value for name, value in values.items()}
        where = {**_row_of(new, "of_"), "old_version": old.version}
        return connection.execute(_UPDATE, {**changed, **where}).rowcount == 1
    try:
        with connection.begin_nested():
            connection.execute(_INSERT, {**_row_of(new), **values})
    except IntegrityError as error:
        if is_duplicate(error):
            return False
        raise
    return True


def push_again(connection: Connection, target: str, node: int, item: Item) -> None:
    """Let an item be pushed once more: what its target holds now is not known."""
    row = _row_of(Publication(target, node, item), "of_")
    connection.execute(_AGAIN, row)


def forget(connection: Connection, target: str, node: int | None = None) -> None:
    """Let everything be pushed to a target anew; statuses go on where they are."""
    statement = delete(publication).where(
        publication.c.target == target, publication.c.kind != STATUSES
    )
    if node is not None:
        statement = statement.where(publication.c.node == node)
    connection.execute(statement)


def retry_now(connection: Connection, target: str) -> int:
    """Let what failed be tried at once, and return how many items that are."""
    statement = (
        update(publication)
        .where(publication.c.target == target, publication.c.retry_at.is_not(None))
        .values(retry_at=None)
    )
    return connection.execute(statement).rowcount


def changed_certificates(
    connection: Connection, generation_id: int, after: int, limit: int
) -> list[tuple[int, int]]:
    """Return (number, certificate id) of revocations and releases after a number, in order."""
    revoked = select(certificate.c.revocation_number.label("number"), certificate.c.id).where(
        certificate.c.generation_id == generation_id,
        certificate.c.revoked_at.is_not(None),
        certificate.c.revocation_number > after,
    )
    released = select(
        hold_release.c.revocation_number.label("number"), hold_release.c.certificate_id
    ).where(hold_release.c.generation_id == generation_id, hold_release.c.revocation_number > after)
    both = sa.union_all(revoked, released).subquery()
    statement = select(both.c.number, both.c.id).order_by(both.c.number).limit(limit)
    return [(int(number), int(found)) for number, found in connection.execute(statement)]


_STATE = ("version", "number", "published_at", "failures", "failing_since", "retry_at", "error")


def _row_of(one: Publication, prefix: str = "") -> dict[str, object]:
    values = (one.target, one.node, *one.item)
    return {f"{prefix}{name}": value for name, value in zip(_KEYS, values, strict=True)}


def _order() -> Sequence[sa.ColumnElement[object]]:
    return [publication.c[name] for name in _KEYS]


def _publication(row: sa.Row[tuple[object, ...]]) -> Publication:
    return Publication(
        target=row.target,
        node=row.node,
        item=Item(row.kind, row.authority, row.generation, row.scope),
        **{name: getattr(row, name) for name in _STATE},
    )
