"""Further keys of nodes, and which of them an agent knows."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
    false,
)

revision = "agents_0002"
down_revision = "agents_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns."""
    op.add_column("agents_node", Column("retired", Boolean, nullable=False, server_default=false()))
    op.add_column("agents_code", Column("named", Text, nullable=False, server_default=""))
    op.create_table(
        "agents_node_key",
        Column("node", Integer, primary_key=True, autoincrement=False),
        Column("generation", Integer, primary_key=True, autoincrement=False),
        Column("tls_kind", String(16), nullable=False),
        Column("frame_kind", String(16), nullable=False),
        Column("certificate", LargeBinary, nullable=False),
        Column("pin", LargeBinary, nullable=False),
        Column("frame_key", LargeBinary, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("since", BigInteger, nullable=False),
    )
    op.create_table(
        "agents_known",
        Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
        Column("node", Integer, primary_key=True, autoincrement=False),
        Column("generation", Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop them; agents that know newer keys have to be enrolled again."""
    op.drop_table("agents_known")
    op.drop_table("agents_node_key")
    with op.batch_alter_table("agents_code") as code:
        code.drop_column("named")
    with op.batch_alter_table("agents_node") as node:
        node.drop_column("retired")
