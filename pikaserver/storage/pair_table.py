"""The table of pairs that were asked for in one request, beside those in ``tables``."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table

from pikaserver.storage.tables import RowId, metadata

pair = Table(  # a request waits for a person, or the first certificate is there, or both
    "pair",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("wish_hash", String(64), nullable=False),  # of both CSRs
    Column("csr", LargeBinary, nullable=False),  # of the second certificate
    Column("template_id", ForeignKey("template.id"), nullable=False),  # of the second one, too
    Column("template_version", Integer, nullable=False),
    Column("request_id", ForeignKey("request.id"), unique=True),
    Column("first_id", ForeignKey("certificate.id"), unique=True),
)
