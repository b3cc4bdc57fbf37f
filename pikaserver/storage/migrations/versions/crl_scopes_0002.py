"""Delta and partitioned CRLs, releases from hold, revocations from before an authority came."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

metadata = MetaData()
MOMENT = BigInteger()  # microseconds since 1970

Table("certificate", metadata, Column("id", BigInteger().with_variant(Integer, "sqlite")))
Table("authority_generation", metadata, Column("id", Integer))
release = Table(
    "hold_release",
    metadata,
    Column("certificate_id", ForeignKey("certificate.id"), primary_key=True),
    Column("generation_id", ForeignKey("authority_generation.id"), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("revocation_number", BigInteger, nullable=False),
    Index("hold_release_number", "generation_id", "revocation_number"),
)
former = Table(
    "former_revocation",
    metadata,
    Column("generation_id", ForeignKey("authority_generation.id"), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Column("revoked_at", MOMENT, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("invalidity_at", MOMENT),
    Column("crl_entry", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


def upgrade() -> None:
    """Add columns and tables; every CRL that is there is a full one."""
    with op.batch_alter_table("certificate") as table:
        table.add_column(Column("revocation_number", BigInteger))
        table.add_column(Column("crl_shard", Integer))
    revoked = text("revoked_at IS NOT NULL")
    for name, column in (
        ("certificate_counted", "revocation_number"),
        ("certificate_sharded", "crl_shard"),
    ):
        op.create_index(
            name,
            "certificate",
            ["generation_id", column],
            sqlite_where=revoked,
            postgresql_where=revoked,
        )
    _scope_of_crls()
    metadata.create_all(op.get_bind(), tables=[release, former])


def _scope_of_crls() -> None:
    convention = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}  # as PostgreSQL named it
    with op.batch_alter_table("crl", naming_convention=convention) as table:
        table.add_column(Column("scope", String(20), nullable=False, server_default="full"))
        table.add_column(Column("base_number", BigInteger))
        table.drop_constraint("crl_generation_id_number_key", type_="unique")
        table.create_unique_constraint("crl_scope_number", ["generation_id", "scope", "number"])
    with op.batch_alter_table("crl") as table:
        table.alter_column("scope", server_default=None)
