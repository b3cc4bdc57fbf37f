"""Devices: found again by their identity, noted with each contact, retired for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pikaserver.api.devices import DeviceQuery, DeviceRecord, DeviceState
from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.prepared import Prepared
from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.device_tables import device, device_door
from pikaserver.storage.tables import certificate, request

PAGE_LIMIT = 1000
"""The most devices that one page of a search holds."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Who came: what a request, or a certificate, says of its holder."""

    name: str
    serial_number: str | None = None
    model: str | None = None

    @property
    def identity(self) -> str:
        """By what the device is known again, whatever case it is written in."""
        return self.name.casefold()[:300]


_now = bindparam("now", type_=UtcDateTime)
_KNOWN = Prepared(
    select(device.c.id, device.c.state).where(device.c.identity == bindparam("of_identity"))
)
_SEEN = Prepared(
    update(device)
    .where(device.c.id == bindparam("of_id"))
    .values(
        last_door=bindparam("door"),
        last_contact=_now,
        serial_number=sa.func.coalesce(bindparam("serial"), device.c.serial_number),
        model=sa.func.coalesce(bindparam("of_model"), device.c.model),
    )
)
_SEEN_BRIEFLY = Prepared(
    update(device)
    .where(device.c.id == bindparam("of_id"))
    .values(last_door=bindparam("door"), last_contact=_now)
)
# Both databases know the clause, and SQLAlchemy has it twice.
_INSERTS = {
    "sqlite": Prepared(
        sqlite.insert(device).on_conflict_do_nothing().returning(device.c.id),
    ),
    "postgresql": Prepared(
        postgresql.insert(device).on_conflict_do_nothing().returning(device.c.id),
    ),
}
_DOORS = {
    "sqlite": Prepared(sqlite.insert(device_door).on_conflict_do_nothing()),
    "postgresql": Prepared(postgresql.insert(device_door).on_conflict_do_nothing()),
}
_STATE = update(device).where(device.c.id == bindparam("of_id")).values(state=bindparam("new"))
_WITH_DOORS = (certificate, request, device_door)
_OF_CERTIFICATE = select(certificate.c.device_id).where(certificate.c.id == bindparam("of_id"))


def note(connection: Connection, contact: Contact, door: str, now: datetime) -> int:
    """Note that a device asks for a certificate, and return its number.

    Raises:
        RequestRejected: it was retired.
    """
    known = _KNOWN.row(connection, {"of_identity": contact.identity})
    if known is None:
        return _first_contact(connection, contact, door, now)
    device_id, state = known
    _check_state(contact, state)
    values = {
        "of_id": device_id,
        "door": door,
        "now": now,
        "serial": contact.serial_number,
        "of_model": contact.model,
    }
    _SEEN.run(connection, values)
    return int(device_id)


def check(connection: Connection, contact: Contact) -> None:
    """Return when a device may ask for a certificate, and note nothing.

    Raises:
        RequestRejected: it was retired.
    """
    known = _KNOWN.row(connection, {"of_identity": contact.identity})
    if known is not None:
        _check_state(contact, known[1])


def _check_state(contact: Contact, state: str) -> None:
    if state == DeviceState.RETIRED:
        raise RequestRejected(f"the device {contact.name!r} is retired")


def _first_contact(connection: Connection, contact: Contact, door: str, now: datetime) -> int:
    values = {
        "identity": contact.identity,
        "name": contact.name,
        "serial_number": contact.serial_number,
        "model": contact.model,
        "state": DeviceState.ACTIVE,
        "first_door": door,
        "last_door": door,
        "first_contact": now,
        "last_contact": now,
    }
    made = _INSERTS[connection.dialect.name].number(connection, values)
    return made or note(connection, contact, door, now)  # it came twice at the same moment


def met(connection: Connection, certificate_id: int, door: str, now: datetime) -> None:
    """Note that the holder of a certificate was here; nothing where none is kept of it."""
    device_id = connection.execute(_OF_CERTIFICATE, {"of_id": certificate_id}).scalar_one_or_none()
    if device_id is not None:
        _SEEN_BRIEFLY.run(connection, {"of_id": device_id, "door": door, "now": now})
        _DOORS[connection.dialect.name].run(connection, {"device_id": device_id, "door": door})


def set_state(connection: Connection, device_id: int, state: DeviceState) -> None:
    """Retire a device, or take it back."""
    connection.execute(_STATE, {"of_id": device_id, "new": state})


def get(connection: Connection, device_id: int) -> DeviceRecord:
    """Return one device.

    Raises:
        NotFound: no such device.
    """
    found = _records(connection, select(device).where(device.c.id == device_id))
    if not found:
        raise NotFound(f"there is no device {device_id}")
    return found[0]


def named(connection: Connection, name: str) -> DeviceRecord:
    """Return the device of this name, in any case.

    Raises:
        NotFound: no such device.
    """
    wanted = Contact(name).identity
    found = _records(connection, select(device).where(device.c.identity == wanted))
    if not found:
        raise NotFound(f"there is no device {name!r}")
    return found[0]


def find(connection: Connection, query: DeviceQuery) -> list[DeviceRecord]:
    """Return one page, newest first; ``limit`` is at most ``PAGE_LIMIT``."""
    conditions: list[ColumnElement[bool]] = []
    if query.text is not None:
        conditions.append(_with_text(query.text.casefold()))
    if query.state is not None:
        conditions.append(device.c.state == query.state)
    if query.door is not None:
        conditions.append(_by_door(query.door))
    if query.silent_since is not None:
        conditions.append(device.c.last_contact < query.silent_since)
    if query.after is not None:
        conditions.append(device.c.id < query.after)
    limit = min(query.limit, PAGE_LIMIT)
    return _records(
        connection, select(device).where(*conditions).order_by(device.c.id.desc()).limit(limit)
    )


def _with_text(folded: str) -> ColumnElement[bool]:
    texts = (
        device.c.identity,
        sa.func.lower(device.c.serial_number),
        sa.func.lower(device.c.model),
    )
    return or_(*(text.contains(folded, autoescape=True) for text in texts))


def _by_door(door: str) -> ColumnElement[bool]:
    came = (
        select(table.c.device_id).where(table.c.door == door, table.c.device_id.is_not(None))
        for table in _WITH_DOORS
    )
    by_it = (device.c.id.in_(ids) for ids in came)
    return or_(device.c.first_door == door, device.c.last_door == door, *by_it)


def _records(
    connection: Connection, statement: sa.Select[*tuple[object, ...]]
) -> list[DeviceRecord]:
    rows = connection.execute(statement).all()
    doors = _doors(connection, [row.id for row in rows]) if rows else {}
    return [
        DeviceRecord(
            id=row.id,
            name=row.name,
            serial_number=row.serial_number,
            model=row.model,
            state=DeviceState(row.state),
            doors=tuple(sorted({row.first_door, row.last_door, *doors.get(row.id, ())})),
            first_contact=row.first_contact,
            last_contact=row.last_contact,
        )
        for row in rows
    ]


def _doors(connection: Connection, ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the doors by which devices came, for a certificate or with one."""
    doors: dict[int, set[str]] = {}
    for table in _WITH_DOORS:
        statement = (
            select(table.c.device_id, table.c.door).where(table.c.device_id.in_(ids)).distinct()
        )
        for device_id, door in connection.execute(statement):
            doors.setdefault(device_id, set()).add(door)
    return doors
