"""The first schema."""

from alembic import op
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
    UniqueConstraint,
    text,
)

revision = "0001"
down_revision = None
branch_labels = ("pikaserver",)
depends_on = None

# A copy of the tables as they were then: a revision never changes afterwards.
metadata = MetaData()
ROW_ID = BigInteger().with_variant(Integer, "sqlite")
MOMENT = BigInteger()  # microseconds since 1970


def _partial(condition: str, name: str, *columns: str, unique: bool = False) -> Index:
    where = text(condition)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    """Create all tables."""
    metadata.create_all(op.get_bind(), checkfirst=False)


Table(
    "software_key",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("key_type", String(40), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("sealed_data_key", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("exportable", Boolean, nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

Table(
    "authority",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),
    Column("settings", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

Table(
    "authority_generation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("authority_id", ForeignKey("authority.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("key", String(200)),
    Column("algorithm", String(60), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("csr", LargeBinary),
    Column("certificate", LargeBinary),
    Column("chain", LargeBinary),
    Column("revocations", BigInteger, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    UniqueConstraint("authority_id", "number"),
)

Table(
    "authority_certificate",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

Table(
    "template",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("current_version", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
)

Table(
    "template_version",
    metadata,
    Column("template_id", ForeignKey("template.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("created_by", String(200), nullable=False),
)

Table(
    "certificate",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("tbs_hash", LargeBinary(32), nullable=False),
    Column("tbs", LargeBinary),
    Column("certificate", LargeBinary),
    Column("fingerprint", String(64)),
    Column("key_hash", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_folded", Text, nullable=False),
    Column("not_before", MOMENT, nullable=False),
    Column("not_after", MOMENT, nullable=False),
    Column("template_id", ForeignKey("template.id")),
    Column("template_version", Integer, nullable=False),
    Column("door", String(40), nullable=False),
    Column("requester", String(300), nullable=False),
    Column("transaction", String(200)),
    Column("renews_id", ForeignKey("certificate.id")),
    Column("issued_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
    Column("revocation_reason", Integer),
    Column("invalidity_at", MOMENT),
    Column("crl_entry", LargeBinary),
    UniqueConstraint("serial", "generation_id"),
    Index("certificate_fingerprint", "fingerprint"),
    Index("certificate_subject", "subject_folded"),
    Index("certificate_key_hash", "key_hash"),
    Index("certificate_template", "template_id", "id"),
    Index("certificate_expiry", "not_after", "id"),
    _partial(
        '"transaction" IS NOT NULL', "certificate_transaction", "door", "transaction", unique=True
    ),
    _partial("revoked_at IS NOT NULL", "certificate_revoked", "generation_id", "revoked_at"),
    _partial("revoked_at IS NOT NULL", "certificate_revoked_id", "id"),
    _partial("state <> 'issued'", "certificate_unsigned", "id"),
)

Table(
    "certificate_name",
    metadata,
    Column("certificate_id", ForeignKey("certificate.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Index("certificate_name_name", "name", "certificate_id"),
    sqlite_with_rowid=False,
)

Table(
    "request",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("state", String(12), nullable=False),
    Column("template_id", ForeignKey("template.id"), nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("door", String(40), nullable=False),
    Column("requester", String(300), nullable=False),
    Column("method", String(40), nullable=False),
    Column("csr", LargeBinary, nullable=False),
    Column("csr_hash", String(64), nullable=False),
    Column("key_hash", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("names", Text, nullable=False),
    Column("renews_id", ForeignKey("certificate.id")),
    Column("validity_seconds", BigInteger),
    Column("transaction", String(200)),
    Column("trace", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("decided_at", MOMENT),
    Column("decided_by", String(300)),
    Column("comment", Text),
    Column("certificate_id", ForeignKey("certificate.id")),
    Index("request_state", "state", "id"),
    Index("request_csr", "csr_hash", "requester"),
)

Table(
    "enrollment_code",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", String(100), nullable=False, unique=True),
    Column("code_hash", LargeBinary(32), nullable=False),
    Column("template_id", ForeignKey("template.id"), nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("common_name", Text),
    Column("created_at", MOMENT, nullable=False),
    Column("created_by", String(300), nullable=False),
)

Table(
    "crl",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("this_update", MOMENT, nullable=False),
    Column("next_update", MOMENT, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("hash", String(64)),
    Column("revocations", BigInteger, nullable=False),
    UniqueConstraint("generation_id", "number"),
)

Table(
    "crl_chunk",
    metadata,
    Column("crl_id", ForeignKey("crl.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)

Table(
    "audit_chain",
    metadata,
    Column("node", Integer, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

Table(
    "audit_record",
    metadata,
    Column("node", Integer, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("event", String(60), nullable=False),
    Column("actor", String(300), nullable=False),
    Column("fields", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index("audit_record_event", "event", "at"),
    sqlite_with_rowid=False,
)

Table(
    "job_lease",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("until", MOMENT, nullable=False),
    Column("last_run_at", MOMENT),
    Column("last_error", Text),
)

Table(
    "revision",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

Table(
    "clock_seen",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", MOMENT, nullable=False),
)
