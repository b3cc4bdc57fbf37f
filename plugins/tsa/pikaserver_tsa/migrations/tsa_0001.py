"""The last time that was stamped."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer

revision = "tsa_0001"
down_revision = None
branch_labels = ("tsa",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "tsa_clock",
        Column("node", Integer, primary_key=True, autoincrement=False),
        Column("at_microseconds", BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("tsa_clock")
