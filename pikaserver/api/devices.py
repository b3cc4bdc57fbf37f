"""Devices: who holds certificates, from the first contact on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pikaserver.api.certificates import CertificateRecord


class DeviceState(StrEnum):
    """A retired device gets nothing more, at no door."""

    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """One holder of certificates.

    ``name`` is the identity by which it is known again: its serialNumber, else its common
    name, else its first alternative name.  ``doors`` are those that it came by.
    """

    id: int
    name: str
    serial_number: str | None
    model: str | None
    state: DeviceState
    doors: tuple[str, ...]
    first_contact: datetime
    last_contact: datetime


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """What to look for; unset fields do not restrict.

    ``text`` is any part of name, serial number or model, in any case.  ``after`` is the last
    id seen: pages run from the newest device to the oldest.
    """

    text: str | None = None
    state: DeviceState | None = None
    door: str | None = None
    silent_since: datetime | None = None
    after: int | None = None
    limit: int = 100


class Devices(Protocol):
    """Reading the devices."""

    def get(self, device_id: int) -> DeviceRecord:
        """Return one device by its number.

        Raises:
            NotFound: no such device.
        """
        ...

    def find(self, query: DeviceQuery) -> Sequence[DeviceRecord]:
        """Return one page, newest first."""
        ...

    def met(self, record: CertificateRecord, door: str) -> None:
        """Note that the holder of a certificate was here without asking for another one."""
        ...
