"""The tables of challenges; who reads and writes them stands beside each method."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pikaserver_scep.moments import Moment

metadata = MetaData()

passphrase = Table(  # one secret for all devices of a template
    "scep_passphrase",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("template", String(100), nullable=False),
    Column("salt", LargeBinary(16), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("slow", Boolean, nullable=False),  # chosen by a person, so hashed by Argon2id
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(300), nullable=False),
    Column("withdrawn_at", Moment),
    Index("scep_passphrase_template", "template"),
)

challenge = Table(  # secrets of 128 bits, each good for so many certificates
    "scep_challenge",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("challenge_hash", LargeBinary(32), nullable=False, unique=True),
    Column("template", String(100), nullable=False),
    Column("method", String(20), nullable=False),  # one-time, ndes
    Column("common_name", String(200)),  # the only one that may be asked for
    Column("subject", Text),  # the same of the whole subject, RFC 4514
    Column("names", Text),  # and of the alternative names, JSON
    Column("uses_left", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(300), nullable=False),
    Index("scep_challenge_template", "template", "method", "expires_at"),
    Index("scep_challenge_end", "expires_at"),
)

ndes_account = Table(  # programs that fetch passwords from the NDES page
    "scep_ndes_account",
    metadata,
    Column("user", String(100), primary_key=True),
    Column("template", String(100)),  # the only one that it may fetch for
    Column("salt", LargeBinary(16), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("slow", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(300), nullable=False),
)

intune_request = Table(  # what Intune has still to be told of
    "scep_intune_request",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connector", String(100), nullable=False),
    Column("template", String(100), nullable=False),
    Column("transaction_id", String(200), nullable=False),
    Column("csr_hash", LargeBinary(32), nullable=False),
    Column("csr", LargeBinary, nullable=False),  # sealed: the challenge is in it
    Column("state", String(12), nullable=False),  # unreached, validated, success, failure
    Column("request_id", Integer),  # of the host, where a person decides
    Column("certificate_id", Integer),
    Column("error", Text),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("template", "transaction_id", "csr_hash", name="scep_intune_request_once"),
    Index("scep_intune_request_due", "due_at"),
)

profile_link = Table(  # profiles behind a link that was sent by mail
    "scep_profile_link",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("challenge_id", Integer),  # the link ends with it
    Column("file_name", String(100), nullable=False),
    Column("file", LargeBinary, nullable=False),  # sealed: a challenge is in it
    Column("expires_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(300), nullable=False),
)
