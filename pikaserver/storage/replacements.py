"""Orders to replace certificates before their time."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, delete, select

from pikaserver.api.prepared import Prepared
from pikaserver.storage.device_tables import replacement_order as order


@dataclass(frozen=True, slots=True)
class ReplacementOrder:
    """That a certificate is to be renewed between two moments, and why."""

    certificate_id: int
    start_at: datetime
    end_at: datetime
    why: str
    ordered_at: datetime
    ordered_by: str


_COLUMNS = (
    order.c.certificate_id,
    order.c.start_at,
    order.c.end_at,
    order.c.why,
    order.c.ordered_at,
    order.c.ordered_by,
)
_BY_ID = Prepared(select(*_COLUMNS).where(order.c.certificate_id == bindparam("of_id")))
_FORGET = delete(order).where(order.c.certificate_id == bindparam("of_id"))
_INSERT = sa.insert(order)


def find(connection: Connection, certificate_id: int) -> ReplacementOrder | None:
    """Return the order that a certificate is under, if any."""
    row = _BY_ID.row(connection, {"of_id": certificate_id})
    return None if row is None else ReplacementOrder(*row)


def put(connection: Connection, new: ReplacementOrder) -> None:
    """Order a replacement; it takes the place of an earlier order."""
    connection.execute(_FORGET, {"of_id": new.certificate_id})
    connection.execute(
        _INSERT, {name: getattr(new, name) for name in ReplacementOrder.__dataclass_fields__}
    )


def withdraw(connection: Connection, certificate_id: int) -> bool:
    """Take an order back; ``False`` if there is none."""
    return connection.execute(_FORGET, {"of_id": certificate_id}).rowcount == 1
