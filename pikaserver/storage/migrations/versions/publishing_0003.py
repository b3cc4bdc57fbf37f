"""What each publisher's target has, and what it refused."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, String, Text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = BigInteger()  # microseconds since 1970


def upgrade() -> None:
    """Add the table; whatever is there now is pushed once more."""
    op.create_table(
        "publication",
        Column("target", String(60), primary_key=True),
        Column("node", Integer, primary_key=True),
        Column("kind", String(12), primary_key=True),
        Column("authority", String(100), primary_key=True),
        Column("generation", Integer, primary_key=True),
        Column("scope", String(20), primary_key=True),
        Column("version", String(64), nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("published_at", MOMENT),
        Column("failures", Integer, nullable=False),
        Column("failing_since", MOMENT),
        Column("retry_at", MOMENT),
        Column("error", Text),
        sqlite_with_rowid=False,
    )
