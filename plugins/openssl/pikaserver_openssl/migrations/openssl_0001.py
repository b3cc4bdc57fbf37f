"""Keys, sealed."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, String

revision = "openssl_0001"
down_revision = None
branch_labels = ("openssl",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "openssl_key",
        Column("name", String(100), primary_key=True),
        Column("key_type", String(40), nullable=False),
        Column("public_key", LargeBinary, nullable=False),
        Column("sealed_key", LargeBinary, nullable=False),
        Column("exportable", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("openssl_key")
