"""The database as plugins see it, for their own tables."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, MetaData


class Database(Protocol):
    """Durable storage; a transaction is never open across a signature or a network call."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Open the one writing transaction; leaving the block returns when it is on disk.

        An exception rolls back what this block did and nothing else.

        Raises:
            StorageUnavailable: it could not be made durable; nothing was kept.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a consistent view for reading."""
        ...

    def commits(self) -> int | None:
        """Return a number that is another one after any process has committed.

        At once, or ``None`` where only a call over the network could tell.

        Raises:
            StorageUnavailable: the database cannot be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Migrations:
    """A plugin's Alembic branch.

    ``package`` holds the revisions (``pikaserver_acme.migrations``); the first one names the
    branch label, which is the plugin's name.  Tables begin with the plugin's name.
    """

    branch: str
    package: str
    metadata: MetaData
