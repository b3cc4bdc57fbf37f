"""Pairs of certificates (RFC 9763): asked for in one request, and found by their bond."""

from alembic import op
from cryptography import x509
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    select,
    update,
)
from sqlalchemy import text as sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

metadata = MetaData()
ROW_ID = BigInteger().with_variant(Integer, "sqlite")
RELATED_CERTIFICATE = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.36")
# How the OID, and SHA-256 with its hash, are written in DER.
OID_OCTETS = bytes.fromhex("06082b06010505070124")
SHA256_VALUES = tuple(
    bytes.fromhex(algorithm + "0420")
    for algorithm in ("302f300b0609608648016503040201", "3031300d06096086480165030402010500")
)
HASH_OCTETS = 32
AT_ONCE = 500

certificate = Table(
    "certificate",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("certificate", LargeBinary),
    Column("related", String(64)),
)
Table("template", metadata, Column("id", Integer, primary_key=True))
Table("request", metadata, Column("id", ROW_ID, primary_key=True))
pair = Table(
    "pair",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("wish_hash", String(64), nullable=False),
    Column("csr", LargeBinary, nullable=False),
    Column("template_id", ForeignKey("template.id"), nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("request_id", ForeignKey("request.id"), unique=True),
    Column("first_id", ForeignKey("certificate.id"), unique=True),
)
CONTAINS = {
    "sqlite": sql("instr(certificate, :octets) > 0"),
    "postgresql": sql("position(:octets in certificate) > 0"),
}


def upgrade() -> None:
    """Add the table and the column, and read what certificates are bound to that are there."""
    connection = op.get_bind()
    metadata.create_all(connection, tables=[pair])
    op.add_column("certificate", Column("related", String(64)))
    known = sql("related IS NOT NULL")
    index = Index("certificate_related", "related", sqlite_where=known, postgresql_where=known)
    op.create_index(
        index.name, "certificate", ["related"], sqlite_where=known, postgresql_where=known
    )
    fill(connection)


def fill(connection: Connection) -> None:
    """Fill in the column; only certificates with the extension leave the database for it."""
    condition = CONTAINS[connection.dialect.name].bindparams(bindparam("octets", OID_OCTETS))
    page = select(certificate.c.id, certificate.c.certificate).where(condition)
    page = page.order_by(certificate.c.id).limit(AT_ONCE)
    last = 0
    while rows := connection.execute(page.where(certificate.c.id > last)).all():
        last = rows[-1].id
        found = [{"of_id": row.id, "to": related(row.certificate)} for row in rows]
        filled = [one for one in found if one["to"] is not None]
        if filled:
            statement = update(certificate).where(certificate.c.id == bindparam("of_id"))
            connection.execute(statement.values(related=bindparam("to")), filled)


def related(der: bytes) -> str | None:
    """Return the SHA-256 of the certificate that this one is bound to, in hex."""
    for extension in x509.load_der_x509_certificate(der).extensions:
        value = extension.value
        if extension.oid == RELATED_CERTIFICATE and isinstance(value, x509.UnrecognizedExtension):
            for start in SHA256_VALUES:
                if value.value.startswith(start) and len(value.value) == len(start) + HASH_OCTETS:
                    return value.value[-HASH_OCTETS:].hex()
    return None
