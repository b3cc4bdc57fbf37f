"""The table of publications, beside the others in ``pikaserver.storage.tables``."""

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.tables import metadata

publication = Table(  # what each target has, and what it refused
    "publication",
    metadata,
    Column("target", String(60), primary_key=True),
    Column("node", Integer, primary_key=True),  # 0 where one node pushes for all
    Column("kind", String(12), primary_key=True),  # target, certificate, crl, statuses
    Column("authority", String(100), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("scope", String(20), primary_key=True),
    Column("version", String(64), nullable=False),  # of what is there; empty: nothing
    Column("number", BigInteger, nullable=False),  # of the CRL, or of the last status
    Column("published_at", UtcDateTime),
    Column("failures", Integer, nullable=False),  # since it went well last
    Column("failing_since", UtcDateTime),
    Column("retry_at", UtcDateTime),
    Column("error", Text),
    sqlite_with_rowid=False,
)
