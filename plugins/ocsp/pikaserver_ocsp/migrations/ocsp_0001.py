"""The table of answers that are signed already."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String

revision = "ocsp_0001"
down_revision = None
branch_labels = ("ocsp",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "ocsp_answer",
        Column("generation_id", Integer, primary_key=True, autoincrement=False),
        Column("serial", String(40), primary_key=True),
        Column("form", Integer, primary_key=True, autoincrement=False),
        Column("unit", String(20), primary_key=True),
        Column("certificate_id", BigInteger, nullable=False),
        Column("status", LargeBinary, nullable=False),
        Column("this_update", BigInteger, nullable=False),
        Column("next_update", BigInteger, nullable=False),
        Column("signed", LargeBinary, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("asked_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ocsp_answer_due", "ocsp_answer", ["due_at"])


def downgrade() -> None:
    """Drop it; answers are made anew."""
    op.drop_table("ocsp_answer")
