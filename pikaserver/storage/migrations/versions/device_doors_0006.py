"""Doors by which devices came without asking for a certificate."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

metadata = MetaData()
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

Table("device", metadata, Column("id", ROW_ID))
device_door = Table(
    "device_door",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True, autoincrement=False),
    Column("door", String(40), primary_key=True),
)


def upgrade() -> None:
    """Add the table; the doors of certificates and requests are known by those."""
    metadata.create_all(op.get_bind(), tables=[device_door])
