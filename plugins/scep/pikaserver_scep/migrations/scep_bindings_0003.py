"""What one-time challenges are bound to, beside a common name."""

from alembic import op
from sqlalchemy import Column, Text

revision = "scep_bindings_0003"
down_revision = "scep_messages_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("scep_challenge", Column("subject", Text))
    op.add_column("scep_challenge", Column("names", Text))


def downgrade() -> None:
    """Drop them; who is bound by them alone is bound no more, so their challenges go, too."""
    op.execute("DELETE FROM scep_challenge WHERE subject IS NOT NULL OR names IS NOT NULL")
    with op.batch_alter_table("scep_challenge") as table:
        table.drop_column("names")
        table.drop_column("subject")
