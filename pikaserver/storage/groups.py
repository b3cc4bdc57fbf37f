"""Blocks of several threads that one COMMIT makes durable."""

from threading import Event

from sqlalchemy import Connection, RootTransaction


class Group:
    """Blocks of several threads that become durable by one COMMIT."""

    __slots__ = ("connection", "ended", "error", "grows", "kept", "transaction")

    def __init__(self, connection: Connection, transaction: RootTransaction) -> None:
        self.connection = connection
        self.transaction = transaction
        self.kept = 0
        self.grows = False
        self.ended: Event | None = None  # made when the first member has to wait
        self.error: BaseException | None = None

    def check(self) -> None:
        """Refuse a block that ended the transaction of all members."""
        if not self.transaction.is_active:
            raise RuntimeError("a transaction() block must not commit or roll back")
