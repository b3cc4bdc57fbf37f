"""Idempotency keys, and whose the requests are that wait."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, String

revision = "rest_0001"
down_revision = None
branch_labels = ("rest",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rest_key",
        Column("name", String(64), primary_key=True),
        Column("wish", String(64), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Index("rest_key_age", "created_at"),
    )
    op.create_table(
        "rest_request",
        Column("request_id", BigInteger, primary_key=True, autoincrement=False),
        Column("credential", String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("rest_request")
    op.drop_table("rest_key")
