"""When orders are over, so that they can be forgotten long after."""

from alembic import op
from sqlalchemy import BigInteger, Column

revision = "acme_0002"
down_revision = "acme_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; valid orders from before keep none, and stay."""
    op.add_column("acme_order", Column("over_at", BigInteger))
    op.execute("UPDATE acme_order SET over_at = expires_at WHERE certificate_id IS NULL")
    op.create_index("acme_order_by_end", "acme_order", ["over_at"])
    op.create_index("acme_authorization_by_end", "acme_authorization", ["expires_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("acme_authorization_by_end", "acme_authorization")
    op.drop_index("acme_order_by_end", "acme_order")
    op.drop_column("acme_order", "over_at")
