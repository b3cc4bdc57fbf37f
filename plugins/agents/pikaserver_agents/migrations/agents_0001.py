"""The first tables."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
)

revision = "agents_0001"
down_revision = None
branch_labels = ("agents",)
depends_on = None

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_AGENT = "agents_agent.name"
_TABLES = (
    "agents_revision",
    "agents_agent",
    "agents_key",
    "agents_store",
    "agents_allowed",
    "agents_code",
    "agents_node",
    "agents_link",
    "agents_job",
    "agents_counter",
    "agents_history",
    "agents_journal_line",
    "agents_approval",
)


def upgrade() -> None:
    """Create the tables."""
    _create_agents()
    _create_keys()
    _create_codes()
    _create_nodes()
    _create_requests()


def downgrade() -> None:
    """Drop them."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_agents() -> None:
    op.create_table(
        "agents_revision",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("number", BigInteger, nullable=False),
    )
    op.create_table(
        "agents_agent",
        Column("name", String(64), primary_key=True),
        Column("state", String(16), nullable=False),
        Column("why", Text, nullable=False),
        Column("by_hand", Boolean, nullable=False),
        Column("pin", LargeBinary, nullable=False, unique=True),
        Column("certificate", LargeBinary, nullable=False),
        Column("frame_key", LargeBinary, nullable=False, unique=True),
        Column("next_pin", LargeBinary, unique=True),
        Column("next_certificate", LargeBinary),
        Column("next_frame_key", LargeBinary, unique=True),
        Column("words", String(64), nullable=False),
        Column("software", Text, nullable=False),
        Column("policy", LargeBinary, nullable=False),
        Column("enrolled_at", BigInteger, nullable=False),
        Column("last_seen", BigInteger, nullable=False),
    )
    op.create_table(
        "agents_mark",
        Column("agent", String(64), ForeignKey(_AGENT), primary_key=True),
        Column("node", Integer, primary_key=True),
        Column("index", BigInteger, nullable=False),
        Column("head", LargeBinary, nullable=False),
    )


def _create_keys() -> None:
    op.create_table(
        "agents_key",
        Column("agent", String(64), ForeignKey(_AGENT), primary_key=True),
        Column("name", String(255), primary_key=True),
        Column("spki_hash", LargeBinary, nullable=False, index=True),
        Column("public_key", LargeBinary, nullable=False),
        Column("key_type", String(32), nullable=False),
        Column("algorithms", Text, nullable=False),
        Column("state", String(32), nullable=False),
        Column("certificate", LargeBinary, nullable=False),
        Column("attestation", Text, nullable=False),
        Column("trial", Boolean, nullable=False),
        Column("details", Text, nullable=False),
    )
    op.create_table(
        "agents_store",
        Column("agent", String(64), ForeignKey(_AGENT), primary_key=True),
        Column("name", String(64), primary_key=True),
        Column("kind", String(32), nullable=False),
        Column("state", String(32), nullable=False),
        Column("key_types", Text, nullable=False),
        Column("free", Text, nullable=False),
        Column("details", Text, nullable=False),
    )


def _create_codes() -> None:
    op.create_table(
        "agents_allowed",
        Column("spki_hash", LargeBinary, primary_key=True),
        Column("authority", String(64), primary_key=True),
        Column("since", BigInteger, nullable=False),
        Column("by", String(255), nullable=False),
    )
    op.create_table(
        "agents_code",
        Column("token_hash", LargeBinary, primary_key=True),
        Column("agent", String(64), nullable=False),
        Column("purpose", String(16), nullable=False),
        Column("offline", Boolean, nullable=False),
        Column("confirm", Boolean, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("used_at", BigInteger),
        Column("created_by", String(255), nullable=False),
    )


def _create_nodes() -> None:
    op.create_table(
        "agents_node",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("address", String(300), nullable=False),
        Column("certificate", LargeBinary, nullable=False),
        Column("pin", LargeBinary, nullable=False),
        Column("frame_key", LargeBinary, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
    )
    op.create_table(
        "agents_link",
        Column("agent", String(64), ForeignKey(_AGENT), primary_key=True),
        Column("node", Integer, primary_key=True),
        Column("since", BigInteger, nullable=False),
        Column("last_seen", BigInteger, nullable=False),
    )
    op.create_table(
        "agents_counter",
        Column("node", Integer, primary_key=True, autoincrement=False),
        Column("agent", String(64), ForeignKey(_AGENT), primary_key=True),
        Column("value", BigInteger, nullable=False),
    )
    op.create_table(
        "agents_approval",
        Column("approval", LargeBinary, primary_key=True),
        Column("agent", String(64), ForeignKey(_AGENT), nullable=False),
        Column("spki_hash", LargeBinary, nullable=False),
        Column("purpose", String(32), nullable=False),
        Column("why", Text, nullable=False),
        Column("since", BigInteger, nullable=False),
    )


def _create_requests() -> None:
    op.create_table(
        "agents_job",
        Column("id", LargeBinary, primary_key=True),
        Column("agent", String(64), ForeignKey(_AGENT), nullable=False),
        Column("way", String(16), nullable=False),
        Column("node", Integer, nullable=False),
        Column("state", String(16), nullable=False),
        Column("deed", LargeBinary, nullable=False),
        Column("message", LargeBinary, nullable=False),
        Column("frame", LargeBinary, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("deadline", BigInteger, nullable=False),
        Index("agents_job_waiting", "way", "state", "agent"),
        Index("agents_job_deed", "agent", "deed"),
    )
    op.create_table(
        "agents_history",
        Column("number", _NUMBER, primary_key=True),
        Column("id", LargeBinary, nullable=False),
        Column("agent", String(64), ForeignKey(_AGENT), nullable=False),
        Column("spki_hash", LargeBinary, nullable=False),
        Column("tbs_hash", LargeBinary, nullable=False),
        Column("purpose", String(32), nullable=False),
        Column("outcome", String(64), nullable=False),
        Column("journal_index", BigInteger, nullable=False),
        Column("journal_head", LargeBinary, nullable=False),
        Column("at", BigInteger, nullable=False),
        Index("agents_history_journal", "agent", "journal_index"),
        Index("agents_history_tbs", "tbs_hash"),
    )
    op.create_table(
        "agents_journal_line",
        Column("agent", String(64), ForeignKey(_AGENT), primary_key=True),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("octets", LargeBinary, nullable=False),
    )
