"""The table of wrong guesses, beside the others in ``pikaserver.storage.tables``."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table

from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.tables import metadata

lockout = Table(  # who has guessed wrong too often; of who it is only a hash is kept
    "lockout",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Index("lockout_until", "until"),
)
