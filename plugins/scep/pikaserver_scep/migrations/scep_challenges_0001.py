"""Challenges, passphrases, accounts, links to profiles, and what Intune has to be told."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)

revision = "scep_challenges_0001"
down_revision = None
branch_labels = ("scep",)
depends_on = None

MOMENT = BigInteger()  # microseconds since 1970


def upgrade() -> None:
    """Create the tables."""
    _secrets()
    _errands()


def _secrets() -> None:
    op.create_table(
        "scep_passphrase",
        Column("id", Integer, primary_key=True),
        Column("template", String(100), nullable=False),
        Column("salt", LargeBinary(16), nullable=False),
        Column("hash", LargeBinary(32), nullable=False),
        Column("slow", Boolean, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("created_by", String(300), nullable=False),
        Column("withdrawn_at", MOMENT),
        Index("scep_passphrase_template", "template"),
    )
    op.create_table(
        "scep_challenge",
        Column("id", Integer, primary_key=True),
        Column("challenge_hash", LargeBinary(32), nullable=False, unique=True),
        Column("template", String(100), nullable=False),
        Column("method", String(20), nullable=False),
        Column("common_name", String(200)),
        Column("uses_left", Integer, nullable=False),
        Column("expires_at", MOMENT, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("created_by", String(300), nullable=False),
        Index("scep_challenge_template", "template", "method", "expires_at"),
        Index("scep_challenge_end", "expires_at"),
    )
    op.create_table(
        "scep_ndes_account",
        Column("user", String(100), primary_key=True),
        Column("template", String(100)),
        Column("salt", LargeBinary(16), nullable=False),
        Column("hash", LargeBinary(32), nullable=False),
        Column("slow", Boolean, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("created_by", String(300), nullable=False),
    )


def _errands() -> None:
    op.create_table(
        "scep_intune_request",
        Column("id", Integer, primary_key=True),
        Column("connector", String(100), nullable=False),
        Column("template", String(100), nullable=False),
        Column("transaction_id", String(200), nullable=False),
        Column("csr_hash", LargeBinary(32), nullable=False),
        Column("csr", LargeBinary, nullable=False),
        Column("state", String(12), nullable=False),
        Column("request_id", Integer),
        Column("certificate_id", Integer),
        Column("error", Text),
        Column("attempts", Integer, nullable=False),
        Column("due_at", MOMENT, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        UniqueConstraint("template", "transaction_id", "csr_hash", name="scep_intune_request_once"),
        Index("scep_intune_request_due", "due_at"),
    )
    op.create_table(
        "scep_profile_link",
        Column("token_hash", LargeBinary(32), primary_key=True),
        Column("challenge_id", Integer),
        Column("file_name", String(100), nullable=False),
        Column("file", LargeBinary, nullable=False),
        Column("expires_at", MOMENT, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("created_by", String(300), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("profile_link", "intune_request", "ndes_account", "challenge", "passphrase"):
        op.drop_table(f"scep_{table}")
