"""Every table of the plugin; times are milliseconds since 1970, structures are JSON.

A status is a word of RFC 8555 section 7.1.6.  One-time things (nonces, uses of an external
account, finalizations, attempts) are one conditional statement whose row count decides.
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

metadata = MetaData()

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""A number that counts up by itself, in both databases."""

PENDING = text("status = 'pending'")

policy = Table(
    "acme_policy",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("rules", Text, nullable=False),  # JSON of PolicyRules
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(200), nullable=False),
)

secret = Table(  # what all nodes share: the key that nonces are made with
    "acme_secret",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

nonce = Table(  # those that were used, until they expire
    "acme_nonce",
    metadata,
    Column("nonce", LargeBinary(40), primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

external_account = Table(  # RFC 8555 section 7.3.4
    "acme_external_account",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("policy_id", ForeignKey("acme_policy.id"), nullable=False),
    Column("kid", String(64), nullable=False, unique=True),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("allow", Text, nullable=False),  # JSON: identifier patterns, empty for the policy's
    Column("comment", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
)

account = Table(
    "acme_account",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("policy_id", ForeignKey("acme_policy.id"), nullable=False),
    Column("thumbprint", String(43), nullable=False),  # RFC 7638, SHA-256
    Column("key", Text, nullable=False),  # JWK, public
    Column("status", String(12), nullable=False),  # valid, deactivated, revoked
    Column("contacts", Text, nullable=False),  # JSON: URLs
    Column("terms_agreed_at", BigInteger),
    Column("external_account_id", ForeignKey("acme_external_account.id")),
    Column("external_account_binding", Text),  # JSON: the binding as it was sent
    Column("address", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("policy_id", "thumbprint"),
    Index("acme_account_by_address", "address", "created_at"),
)

order = Table(
    "acme_order",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("account_id", ForeignKey("acme_account.id"), nullable=False),
    Column("status", String(12), nullable=False),  # pending, ready, processing, valid, invalid
    Column("identifiers", Text, nullable=False),  # JSON, sorted: what the certificate will name
    Column("identifiers_hash", String(64), nullable=False),  # SHA-256 of them, hex
    Column("profile", String(64)),
    Column("not_before", BigInteger),
    Column("not_after", BigInteger),
    Column("replaces", String(200)),  # RFC 9773 section 5
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("csr", LargeBinary),  # DER, from finalize on
    Column("finalized_at", BigInteger),
    Column("request_id", BigInteger),  # of the host, where a person has to approve
    Column("certificate_id", BigInteger),  # of the host; with STAR the newest one
    Column("error", Text),  # JSON: problem document
    Column("trace", Text),  # JSON: the decisions of the issuance
    Column("over_at", BigInteger),  # when it or its newest certificate ends; none: from before
    Column("second_csr", LargeBinary),  # DER; where the order is for a pair
    Column("second_id", BigInteger),  # of the host, the other certificate of a pair
    Index("acme_order_of_account", "account_id", "id"),
    Index("acme_order_by_time", "account_id", "created_at"),
    Index("acme_order_of_set", "identifiers_hash", "created_at"),
    Index("acme_order_by_status", "status", "finalized_at"),
    Index("acme_order_of_certificate", "certificate_id"),
    Index("acme_order_of_second", "second_id"),
    Index("acme_order_replaces", "replaces"),
    Index("acme_order_by_end", "over_at"),
)

auto_renewal = Table(  # RFC 8739: an order whose certificate is followed by others
    "acme_auto_renewal",
    metadata,
    Column("order_id", ForeignKey("acme_order.id"), primary_key=True),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    Column("lifetime_seconds", BigInteger, nullable=False),
    Column("adjust_seconds", BigInteger, nullable=False),
    Column("allow_get", Boolean, nullable=False),
    Column("token", String(43), nullable=False, unique=True),  # of the URL that anybody may GET
    Column("issued", Integer, nullable=False),
    Column("next_at", BigInteger, index=True),  # when the next one is due; none: no more
    Column("canceled_at", BigInteger),
)

authorization = Table(
    "acme_authorization",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("account_id", ForeignKey("acme_account.id"), nullable=False),
    Column("identifier_type", String(20), nullable=False),
    Column("identifier_value", String(255), nullable=False),  # without "*."
    Column("wildcard", Boolean, nullable=False),
    Column("subdomains", Boolean, nullable=False),  # RFC 9444: good for names below, too
    Column("status", String(12), nullable=False),
    Column("pre_approved", Boolean, nullable=False),  # by policy; no challenge was asked
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("validated_at", BigInteger),
    Column("validated_by", String(30)),  # the type of the challenge, for CAA (RFC 8657)
    Column("facts", Text),  # JSON: what an attestation proved
    Index(
        "acme_authorization_of_account",
        "account_id",
        "identifier_type",
        "identifier_value",
        "expires_at",
    ),
    Index(
        "acme_authorization_pending",
        "account_id",
        "expires_at",
        sqlite_where=PENDING,
        postgresql_where=PENDING,
    ),
    Index("acme_authorization_by_end", "expires_at"),
)

order_authorization = Table(
    "acme_order_authorization",
    metadata,
    Column("order_id", ForeignKey("acme_order.id"), primary_key=True),
    Column("authorization_id", ForeignKey("acme_authorization.id"), primary_key=True),
    Index("acme_order_authorization_back", "authorization_id", "order_id"),
)

challenge = Table(
    "acme_challenge",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("authorization_id", ForeignKey("acme_authorization.id"), nullable=False, index=True),
    Column("type", String(30), nullable=False),
    Column("token", String(43), nullable=False),
    Column("status", String(12), nullable=False),  # pending, processing, valid, invalid
    Column("response", LargeBinary),  # JSON that the client sent to begin
    Column("begun_at", BigInteger),
    Column("validated_at", BigInteger),
    Column("error", Text),  # JSON: problem document
)

validation = Table(  # the queue: one row while a challenge is being validated
    "acme_validation",
    metadata,
    Column("challenge_id", ForeignKey("acme_challenge.id"), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
    Column("node", Integer),  # who works on it
    Column("leased_until", BigInteger),
)

attempt = Table(  # what was tried, line by line, for client and operator
    "acme_attempt",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("challenge_id", ForeignKey("acme_challenge.id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
)
