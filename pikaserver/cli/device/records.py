"""Devices found, and how they look as records."""

from collections.abc import Sequence
from datetime import datetime

from pikaserver.api.certificates import CertificateQuery, CertificateRecord
from pikaserver.api.devices import DeviceQuery, DeviceRecord, DeviceState
from pikaserver.api.errors import NotFound
from pikaserver.cli.device.search import DeviceOptions
from pikaserver.cli.output import Record
from pikaserver.server import PkiServer


def query(text: str | None, search: DeviceOptions, now: datetime) -> DeviceQuery:
    """Return what the options ask the database."""
    return DeviceQuery(
        text=text,
        state=DeviceState(search.state) if search.state else None,
        door=search.door,
        silent_since=now - search.silent_for if search.silent_for is not None else None,
        after=search.after,
        limit=search.limit,
    )


def one_device(server: PkiServer, name: str) -> DeviceRecord:
    """Return a device by its name, else by its number.

    Raises:
        NotFound: there is none.
    """
    try:
        return server.devices.named(name)
    except NotFound:
        if not name.isdecimal() or not name.isascii() or len(name) > len(str(1 << 62)):
            raise
    return server.devices.get(int(name))


def certificates_of(server: PkiServer, device: DeviceRecord) -> Sequence[CertificateRecord]:
    """Return the newest certificates of a device, newest first."""
    return server.certificates.find(CertificateQuery(device=device.id, limit=1000))


def device_row(device: DeviceRecord) -> Record:
    """Return the columns of a list."""
    return {
        "id": device.id,
        "name": device.name,
        "serial_number": device.serial_number,
        "model": device.model,
        "state": device.state,
        "doors": device.doors,
        "first_contact": device.first_contact,
        "last_contact": device.last_contact,
    }
