"""Pairs that were asked for in one request: what the second certificate is to be."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from pikaserver.api.errors import Conflict, Unavailable
from pikaserver.storage.pair_table import pair
from pikaserver.storage.tables import template


@dataclass(frozen=True, slots=True)
class SecondWish:
    """The second half of a request; ``csr`` is DER, ``wish_hash`` SHA-256 of both CSRs in hex.

    ``first_id`` is the first certificate, where it was there before.
    """

    wish_hash: str
    csr: bytes
    template_id: int
    template_version: int
    first_id: int | None = None


@dataclass(frozen=True, slots=True)
class StoredPair:
    """A pair as it was asked for; ``template`` is that of the second certificate."""

    wish_hash: str
    csr: bytes
    template: str
    template_version: int


_PAIR = select(
    pair.c.wish_hash, pair.c.csr, template.c.name.label("template"), pair.c.template_version
).join_from(pair, template, template.c.id == pair.c.template_id)
_OF_REQUEST = _PAIR.where(pair.c.request_id == bindparam("of_request"))
_OF_FIRST = _PAIR.where(pair.c.first_id == bindparam("of_first"))
_BEGIN = (
    update(pair)
    .where(pair.c.request_id == bindparam("of_request"), pair.c.first_id.is_(None))
    .values(first_id=bindparam("of_first"))
)


def wait(connection: Connection, request_id: int, wish: SecondWish) -> None:
    """Store the second half of a request that waits for a person.

    Raises:
        Unavailable: its first certificate is there, and another request waits for the second.
    """
    values = asdict(wish) | {"request_id": request_id}
    if wish.first_id is None:
        connection.execute(insert(pair), values)
        return
    half = update(pair).where(pair.c.first_id == wish.first_id, pair.c.request_id.is_(None))
    if connection.execute(half.values(values)).rowcount != 1:
        raise Unavailable("the second certificate of this pair waits for a person: ask again")


def begin(connection: Connection, first_id: int, wish: SecondWish) -> None:
    """Note that the first certificate is there, and what the second one is to be."""
    connection.execute(insert(pair), asdict(wish) | {"first_id": first_id})


def begin_approved(connection: Connection, first_id: int, request_id: int) -> None:
    """Note that the first certificate of a request that waited is there.

    Raises:
        Conflict: it was there already.
    """
    values = {"of_first": first_id, "of_request": request_id}
    if connection.execute(_BEGIN, values).rowcount != 1:
        raise Conflict(f"request {request_id} has its first certificate, or asks for one alone")


def of_request(connection: Connection, request_id: int) -> StoredPair | None:
    """Return the second half of a request that waited, if it has one."""
    row = connection.execute(_OF_REQUEST, {"of_request": request_id}).one_or_none()
    return None if row is None else StoredPair(*row)


def of_first(connection: Connection, first_id: int) -> StoredPair | None:
    """Return what was asked for together with a certificate, if anything was."""
    row = connection.execute(_OF_FIRST, {"of_first": first_id}).one_or_none()
    return None if row is None else StoredPair(*row)
