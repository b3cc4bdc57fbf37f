"""The table of enrolment codes, beside the others in ``pikaserver.storage.tables``."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.tables import metadata

enrollment_code = Table(
    "enrollment_code",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", String(100), nullable=False, unique=True),
    Column("code_hash", LargeBinary(32), nullable=False),  # SHA-256: codes have 128 random bits
    Column("template_id", ForeignKey("template.id"), nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("common_name", Text),  # where the code is bound to one subject
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(300), nullable=False),
)
