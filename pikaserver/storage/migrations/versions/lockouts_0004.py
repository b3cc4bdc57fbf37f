"""Who has guessed wrong too often, known to all nodes."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = BigInteger()  # microseconds since 1970


def upgrade() -> None:
    """Add the table; who was locked out until now may try again."""
    op.create_table(
        "lockout",
        Column("key_hash", LargeBinary(32), primary_key=True),
        Column("failures", Integer, nullable=False),
        Column("until", MOMENT, nullable=False),
        Index("lockout_until", "until"),
    )
