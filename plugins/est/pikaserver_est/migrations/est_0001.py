"""Keys to encrypt to, and generated keys that wait for approval."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, String

revision = "est_0001"
down_revision = None
branch_labels = ("est",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "est_decrypt_key",
        Column("name", String(128), primary_key=True),
        Column("sealed", LargeBinary),
        Column("certificate", LargeBinary),
        Column("created_at", BigInteger, nullable=False),
        Column("created_by", String(300), nullable=False),
    )
    op.create_table(
        "est_generated_key",
        Column("wish", String(64), primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
        Column("csr", LargeBinary, nullable=False),
        Column("created_at", BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("est_generated_key")
    op.drop_table("est_decrypt_key")
