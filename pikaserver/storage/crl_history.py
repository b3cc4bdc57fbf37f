"""What all the CRLs of a key tell together: since when there are any, and the last number."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from pikaserver.storage.tables import crl


def first_update(connection: Connection, generation_id: int) -> datetime | None:
    """Return when the first CRL of a generation began that is known here, ``None`` without any."""
    first = select(func.min(crl.c.this_update)).where(
        crl.c.generation_id == generation_id, crl.c.state != "abandoned"
    )
    found: datetime | None = connection.scalar(first)
    return found


def highest_number(connection: Connection, generation_id: int) -> int:
    """Return the highest number that a generation has given to a CRL, 0 before the first."""
    last = select(func.max(crl.c.number)).where(crl.c.generation_id == generation_id)
    found: int | None = connection.scalar(last)
    return found or 0
