"""Orders of pairs: the CSR of the second certificate, and that certificate."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary

revision = "acme_0003"
down_revision = "acme_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; orders from before have one certificate."""
    op.add_column("acme_order", Column("second_csr", LargeBinary))
    op.add_column("acme_order", Column("second_id", BigInteger))
    op.create_index("acme_order_of_second", "acme_order", ["second_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("acme_order_of_second", "acme_order")
    op.drop_column("acme_order", "second_id")
    op.drop_column("acme_order", "second_csr")
