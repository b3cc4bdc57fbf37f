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
    UniqueConstraint,
    text,
)

revision = "acme_0001"
down_revision = None
branch_labels = ("acme",)
depends_on = None

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_PENDING = text("status = 'pending'")
_TABLES = (
    "acme_policy",
    "acme_secret",
    "acme_nonce",
    "acme_external_account",
    "acme_account",
    "acme_order",
    "acme_auto_renewal",
    "acme_authorization",
    "acme_order_authorization",
    "acme_challenge",
    "acme_validation",
    "acme_attempt",
)


def upgrade() -> None:
    """Create the tables."""
    _create_policies()
    _create_accounts()
    _create_orders()
    _create_auto_renewals()
    _create_authorizations()
    _create_challenges()
    _create_validation()


def downgrade() -> None:
    """Drop them."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_policies() -> None:
    op.create_table(
        "acme_policy",
        Column("id", Integer, primary_key=True),
        Column("name", String(64), nullable=False, unique=True),
        Column("rules", Text, nullable=False),
        Column("enabled", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("changed_at", BigInteger, nullable=False),
        Column("changed_by", String(200), nullable=False),
    )
    op.create_table(
        "acme_secret",
        Column("name", String(40), primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
    )
    op.create_table(
        "acme_nonce",
        Column("nonce", LargeBinary(40), primary_key=True),
        Column("expires_at", BigInteger, nullable=False, index=True),
    )


def _create_accounts() -> None:
    op.create_table(
        "acme_external_account",
        Column("id", _NUMBER, primary_key=True),
        Column("policy_id", Integer, ForeignKey("acme_policy.id"), nullable=False),
        Column("kid", String(64), nullable=False, unique=True),
        Column("sealed_key", LargeBinary, nullable=False),
        Column("uses", Integer, nullable=False),
        Column("uses_left", Integer, nullable=False),
        Column("allow", Text, nullable=False),
        Column("comment", String(200), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("created_by", String(200), nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("withdrawn_at", BigInteger),
    )
    op.create_table(
        "acme_account",
        Column("id", _NUMBER, primary_key=True),
        Column("policy_id", Integer, ForeignKey("acme_policy.id"), nullable=False),
        Column("thumbprint", String(43), nullable=False),
        Column("key", Text, nullable=False),
        Column("status", String(12), nullable=False),
        Column("contacts", Text, nullable=False),
        Column("terms_agreed_at", BigInteger),
        Column("external_account_id", _NUMBER, ForeignKey("acme_external_account.id")),
        Column("external_account_binding", Text),
        Column("address", String(64), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        UniqueConstraint("policy_id", "thumbprint"),
        Index("acme_account_by_address", "address", "created_at"),
    )


def _create_orders() -> None:
    op.create_table(
        "acme_order",
        Column("id", _NUMBER, primary_key=True),
        Column("account_id", _NUMBER, ForeignKey("acme_account.id"), nullable=False),
        Column("status", String(12), nullable=False),
        Column("identifiers", Text, nullable=False),
        Column("identifiers_hash", String(64), nullable=False),
        Column("profile", String(64)),
        Column("not_before", BigInteger),
        Column("not_after", BigInteger),
        Column("replaces", String(200)),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("csr", LargeBinary),
        Column("finalized_at", BigInteger),
        Column("request_id", BigInteger),
        Column("certificate_id", BigInteger),
        Column("error", Text),
        Column("trace", Text),
        Index("acme_order_of_account", "account_id", "id"),
        Index("acme_order_by_time", "account_id", "created_at"),
        Index("acme_order_of_set", "identifiers_hash", "created_at"),
        Index("acme_order_by_status", "status", "finalized_at"),
        Index("acme_order_of_certificate", "certificate_id"),
        Index("acme_order_replaces", "replaces"),
    )


def _create_auto_renewals() -> None:
    op.create_table(
        "acme_auto_renewal",
        Column("order_id", _NUMBER, ForeignKey("acme_order.id"), primary_key=True),
        Column("start_at", BigInteger, nullable=False),
        Column("end_at", BigInteger, nullable=False),
        Column("lifetime_seconds", BigInteger, nullable=False),
        Column("adjust_seconds", BigInteger, nullable=False),
        Column("allow_get", Boolean, nullable=False),
        Column("token", String(43), nullable=False, unique=True),
        Column("issued", Integer, nullable=False),
        Column("next_at", BigInteger, index=True),
        Column("canceled_at", BigInteger),
    )


def _create_authorizations() -> None:
    op.create_table(
        "acme_authorization",
        Column("id", _NUMBER, primary_key=True),
        Column("account_id", _NUMBER, ForeignKey("acme_account.id"), nullable=False),
        Column("identifier_type", String(20), nullable=False),
        Column("identifier_value", String(255), nullable=False),
        Column("wildcard", Boolean, nullable=False),
        Column("subdomains", Boolean, nullable=False),
        Column("status", String(12), nullable=False),
        Column("pre_approved", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("validated_at", BigInteger),
        Column("validated_by", String(30)),
        Column("facts", Text),
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
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )
    op.create_table(
        "acme_order_authorization",
        Column("order_id", _NUMBER, ForeignKey("acme_order.id"), primary_key=True),
        Column("authorization_id", _NUMBER, ForeignKey("acme_authorization.id"), primary_key=True),
        Index("acme_order_authorization_back", "authorization_id", "order_id"),
    )


def _create_challenges() -> None:
    op.create_table(
        "acme_challenge",
        Column("id", _NUMBER, primary_key=True),
        Column(
            "authorization_id",
            _NUMBER,
            ForeignKey("acme_authorization.id"),
            nullable=False,
            index=True,
        ),
        Column("type", String(30), nullable=False),
        Column("token", String(43), nullable=False),
        Column("status", String(12), nullable=False),
        Column("response", LargeBinary),
        Column("begun_at", BigInteger),
        Column("validated_at", BigInteger),
        Column("error", Text),
    )


def _create_validation() -> None:
    op.create_table(
        "acme_validation",
        Column("challenge_id", _NUMBER, ForeignKey("acme_challenge.id"), primary_key=True),
        Column("attempts", Integer, nullable=False),
        Column("due_at", BigInteger, nullable=False, index=True),
        Column("node", Integer),
        Column("leased_until", BigInteger),
    )
    op.create_table(
        "acme_attempt",
        Column("id", _NUMBER, primary_key=True),
        Column(
            "challenge_id", _NUMBER, ForeignKey("acme_challenge.id"), nullable=False, index=True
        ),
        Column("number", Integer, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("line", Text, nullable=False),
    )
