"""Every table of the plugin; times are milliseconds since 1970, as on the line."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData()

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""A number that counts up by itself, in both databases."""

revision = Table(
    "agents_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

agent = Table(
    "agents_agent",
    metadata,
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

mark = Table(  # how far its journal is known, by each node; node 0 is our copy of its lines
    "agents_mark",
    metadata,
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
    Column("node", Integer, primary_key=True),
    Column("index", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
)

key = Table(
    "agents_key",
    metadata,
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
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

store = Table(
    "agents_store",
    metadata,
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("state", String(32), nullable=False),
    Column("key_types", Text, nullable=False),
    Column("free", Text, nullable=False),
    Column("details", Text, nullable=False),
)

allowed = Table(
    "agents_allowed",
    metadata,
    Column("spki_hash", LargeBinary, primary_key=True),
    Column("authority", String(64), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("by", String(255), nullable=False),
)

code = Table(
    "agents_code",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("offline", Boolean, nullable=False),
    Column("confirm", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("created_by", String(255), nullable=False),
    Column("named", Text, nullable=False, server_default=""),
)

node = Table(
    "agents_node",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("address", String(300), nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("pin", LargeBinary, nullable=False),
    Column("frame_key", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("retired", Boolean, nullable=False, server_default=false()),
)

node_key = Table(  # further keys of nodes; those that a node was made with stand in its own row
    "agents_node_key",
    metadata,
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

known = Table(  # by which generation of a node's keys an agent knows it
    "agents_known",
    metadata,
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
)

link = Table(
    "agents_link",
    metadata,
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
    Column("node", Integer, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
)

job = Table(
    "agents_job",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("agent", String(64), ForeignKey("agents_agent.name"), nullable=False),
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

counter = Table(
    "agents_counter",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

history = Table(
    "agents_history",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", LargeBinary, nullable=False),
    Column("agent", String(64), ForeignKey("agents_agent.name"), nullable=False),
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

journal_line = Table(
    "agents_journal_line",
    metadata,
    Column("agent", String(64), ForeignKey("agents_agent.name"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
)

approval = Table(
    "agents_approval",
    metadata,
    Column("approval", LargeBinary, primary_key=True),
    Column("agent", String(64), ForeignKey("agents_agent.name"), nullable=False),
    Column("spki_hash", LargeBinary, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("why", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)
