"""All tables of the host, portable to SQLite and PostgreSQL.

Times are stored in UTC, serials as lower-case hex without leading zeros beyond whole octets
(so that they sort by nothing and compare exactly), structures as DER.
"""

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

from pikaserver.storage.columns import UtcDateTime

metadata = MetaData()

# SQLite gives out row ids for INTEGER PRIMARY KEY only; PostgreSQL shall have 64 bits.
RowId = BigInteger().with_variant(Integer, "sqlite")


def _partial(condition: str, name: str, *columns: str, unique: bool = False) -> Index:
    """Keep rows out of an index that are never looked for: most of them, and each costs a page."""
    where = text(condition)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


software_key = Table(
    "software_key",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("key_type", String(40), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("sealed_data_key", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("exportable", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

authority = Table(
    "authority",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),
    Column("settings", Text, nullable=False),  # JSON of AuthoritySettings: URLs, CRL, policies
    Column("created_at", UtcDateTime, nullable=False),
)

authority_generation = Table(
    "authority_generation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("authority_id", ForeignKey("authority.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(20), nullable=False),  # waiting, coming, prepared, active, retired
    Column("key", String(200)),  # key reference; none when the key is elsewhere
    Column("algorithm", String(60), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("csr", LargeBinary),
    Column("certificate", LargeBinary),
    Column("chain", LargeBinary),  # concatenated DER, from the issuer to the root
    Column("revocations", BigInteger, nullable=False),  # grows with each revocation and release
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("authority_id", "number"),
)

authority_certificate = Table(  # every certificate an authority's key ever got: renewals, cross
    "authority_certificate",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("kind", String(20), nullable=False),  # own, renewed, cross
    Column("certificate", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

template = Table(
    "template",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("current_version", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
)

template_version = Table(
    "template_version",
    metadata,
    Column("template_id", ForeignKey("template.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),  # TOML as the operator wrote it
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)

certificate = Table(
    "certificate",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("state", String(12), nullable=False),  # intent, awaiting, issued, abandoned
    Column("tbs_hash", LargeBinary(32), nullable=False),
    Column("tbs", LargeBinary),  # kept while only the intent is there
    Column("certificate", LargeBinary),
    Column("fingerprint", String(64)),
    Column("key_hash", String(64), nullable=False),  # SHA-256 of SPKI
    Column("subject", Text, nullable=False),  # RFC 4514
    Column("subject_folded", Text, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("template_id", ForeignKey("template.id")),  # none: made in a ceremony
    Column("template_version", Integer, nullable=False),
    Column("door", String(40), nullable=False),
    Column("requester", String(300), nullable=False),
    Column("transaction", String(200)),
    Column("renews_id", ForeignKey("certificate.id")),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("revocation_reason", Integer),
    Column("invalidity_at", UtcDateTime),
    Column("crl_entry", LargeBinary),  # DER of its CRL entry, made when it is revoked
    Column("revocation_number", BigInteger),  # the generation's count when it was revoked
    Column("crl_shard", Integer),  # which of the generation's partitioned CRLs would list it
    Column("device_id", ForeignKey("device.id")),  # none: of a service, or its template keeps none
    Column("related", String(64)),  # SHA-256 of the one that it is bound to (RFC 9763)
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
    _partial("revoked_at IS NOT NULL", "certificate_counted", "generation_id", "revocation_number"),
    _partial("revoked_at IS NOT NULL", "certificate_sharded", "generation_id", "crl_shard"),
    _partial("state <> 'issued'", "certificate_unsigned", "id"),
    _partial("device_id IS NOT NULL", "certificate_device", "device_id"),
    _partial("related IS NOT NULL", "certificate_related", "related"),
)

certificate_name = Table(
    "certificate_name",
    metadata,
    Column("certificate_id", ForeignKey("certificate.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),  # "dns:www.example", folded to lower case
    Index("certificate_name_name", "name", "certificate_id"),
    sqlite_with_rowid=False,
)

request = Table(
    "request",
    metadata,
    Column("id", RowId, primary_key=True),
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
    Column("names", Text, nullable=False),  # JSON list
    Column("renews_id", ForeignKey("certificate.id")),
    Column("validity_seconds", BigInteger),
    Column("transaction", String(200)),
    Column("trace", Text, nullable=False),  # JSON list of decisions
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(300)),
    Column("comment", Text),
    Column("certificate_id", ForeignKey("certificate.id")),
    Column("device_id", ForeignKey("device.id")),
    Index("request_state", "state", "id"),
    Index("request_csr", "csr_hash", "requester"),
    _partial("device_id IS NOT NULL", "request_device", "device_id"),
)

crl = Table(
    "crl",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("scope", String(20), nullable=False),  # full, delta, shard-1, shard-2 ...
    Column("number", BigInteger, nullable=False),
    Column("base_number", BigInteger),  # of the full CRL that a delta goes with
    Column("state", String(12), nullable=False),  # intent, awaiting, issued, abandoned
    Column("this_update", UtcDateTime, nullable=False),
    Column("next_update", UtcDateTime, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("hash", String(64)),
    Column("revocations", BigInteger, nullable=False),  # how many of the generation it knows
    UniqueConstraint("generation_id", "scope", "number", name="crl_scope_number"),
)

hold_release = Table(  # what delta CRLs tell of: held once, and released
    "hold_release",
    metadata,
    Column("certificate_id", ForeignKey("certificate.id"), primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("revocation_number", BigInteger, nullable=False),
    Index("hold_release_number", "generation_id", "revocation_number"),
)

former_revocation = Table(  # of certificates that were issued before an authority came here
    "former_revocation",
    metadata,
    Column("generation_id", ForeignKey("authority_generation.id"), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("revoked_at", UtcDateTime, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("invalidity_at", UtcDateTime),
    Column("crl_entry", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

crl_chunk = Table(  # pieces of 256 KiB: a CRL of 50 MB is never in memory as a whole
    "crl_chunk",
    metadata,
    Column("crl_id", ForeignKey("crl.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)

audit_chain = Table(  # the head of each node's chain
    "audit_chain",
    metadata,
    Column("node", Integer, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

audit_record = Table(
    "audit_record",
    metadata,
    Column("node", Integer, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(60), nullable=False),
    Column("actor", String(300), nullable=False),
    Column("fields", Text, nullable=False),  # canonical JSON
    Column("hash", LargeBinary(32), nullable=False),
    Index("audit_record_event", "event", "at"),
    sqlite_with_rowid=False,
)

job_lease = Table(
    "job_lease",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("last_run_at", UtcDateTime),
    Column("last_error", Text),
)

revision = Table(  # numbers that grow with each change, so that what is cached is dropped in time
    "revision",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

clock_seen = Table(  # the last time that any node saw: a clock that ran back stops signing
    "clock_seen",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)
