"""The first table."""

from alembic import op
from sqlalchemy import Column, Integer, String

revision = "visits_0001"
down_revision = None
branch_labels = ("visits",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "visits_caller",
        Column("name", String(100), primary_key=True),
        Column("visits", Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("visits_caller")
