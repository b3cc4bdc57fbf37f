"""The tables of devices and of orders to replace certificates, beside the others in ``tables``."""

from sqlalchemy import Column, ForeignKey, String, Table, Text

from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.tables import RowId, metadata

device = Table(  # who holds certificates
    "device",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("identity", String(300), nullable=False, unique=True),  # by what it is known again
    Column("name", Text, nullable=False),
    Column("serial_number", Text),
    Column("model", Text),
    Column("state", String(12), nullable=False),  # active, retired
    Column("first_door", String(40), nullable=False),
    Column("last_door", String(40), nullable=False),
    Column("first_contact", UtcDateTime, nullable=False),
    Column("last_contact", UtcDateTime, nullable=False),
)

device_door = Table(  # by which it came without asking for a certificate
    "device_door",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True, autoincrement=False),
    Column("door", String(40), primary_key=True),
)

replacement_order = Table(  # certificates that have to be renewed before their time
    "replacement_order",
    metadata,
    Column("certificate_id", ForeignKey("certificate.id"), primary_key=True, autoincrement=False),
    Column("start_at", UtcDateTime, nullable=False),
    Column("end_at", UtcDateTime, nullable=False),
    Column("why", Text, nullable=False),
    Column("ordered_at", UtcDateTime, nullable=False),
    Column("ordered_by", String(300), nullable=False),
)
