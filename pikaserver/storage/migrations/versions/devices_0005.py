"""Devices, and orders to replace certificates before their time."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import text as sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

metadata = MetaData()
MOMENT = BigInteger()  # microseconds since 1970
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

Table("certificate", metadata, Column("id", ROW_ID))
device = Table(
    "device",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("identity", String(300), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("serial_number", Text),
    Column("model", Text),
    Column("state", String(12), nullable=False),
    Column("first_door", String(40), nullable=False),
    Column("last_door", String(40), nullable=False),
    Column("first_contact", MOMENT, nullable=False),
    Column("last_contact", MOMENT, nullable=False),
)
replacement = Table(
    "replacement_order",
    metadata,
    Column("certificate_id", ForeignKey("certificate.id"), primary_key=True, autoincrement=False),
    Column("start_at", MOMENT, nullable=False),
    Column("end_at", MOMENT, nullable=False),
    Column("why", Text, nullable=False),
    Column("ordered_at", MOMENT, nullable=False),
    Column("ordered_by", String(300), nullable=False),
)


def upgrade() -> None:
    """Add the tables; whose certificates are there already becomes known with the next one."""
    metadata.create_all(op.get_bind(), tables=[device, replacement])
    for name in ("certificate", "request"):
        with op.batch_alter_table(name) as table:
            table.add_column(Column("device_id", ROW_ID))
            table.create_foreign_key(f"{name}_device_id_fkey", "device", ["device_id"], ["id"])
        known = sql("device_id IS NOT NULL")
        index = Index(f"{name}_device", "device_id", sqlite_where=known, postgresql_where=known)
        op.create_index(index.name, name, ["device_id"], sqlite_where=known, postgresql_where=known)
