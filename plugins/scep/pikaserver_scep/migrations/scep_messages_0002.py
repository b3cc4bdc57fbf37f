"""The messages that were served, or wait, and the key of their hashes."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String

revision = "scep_messages_0002"
down_revision = "scep_challenges_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    row_id = BigInteger().with_variant(Integer, "sqlite")
    op.create_table(
        "scep_message",
        Column("id", row_id, primary_key=True),
        Column("message_hash", LargeBinary(32), nullable=False, unique=True),
        Column("requester_hash", LargeBinary(32), nullable=False),
        Column("request_hash", LargeBinary(32), nullable=False),
        Column("method", String(40), nullable=False),
        Column("requester", String(300), nullable=False),
        Column("request_id", BigInteger),
        Column("certificate_id", BigInteger),
        Column("renews_id", BigInteger),
        Column("sealed", LargeBinary),
        Column("expires_at", BigInteger, nullable=False),
        Index("scep_message_requester", "requester_hash", "id"),
        Index("scep_message_end", "expires_at"),
    )
    op.create_table(
        "scep_hash_key",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("sealed", LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("scep_hash_key")
    op.drop_table("scep_message")
