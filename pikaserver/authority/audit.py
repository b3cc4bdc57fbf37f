"""The audit trail as deeds use it: one line in the same transaction as the deed."""

from sqlalchemy import Connection

from pikaserver.api.operations import AuditField, Clock
from pikaserver.storage import audit as storage


class AuditTrail:
    """Writes to this node's chain."""

    def __init__(self, node: int, clock: Clock) -> None:
        self._node = node
        self._clock = clock

    def record(self, connection: Connection, event: str, actor: str, **fields: AuditField) -> None:
        """Append one line; it becomes durable together with the deed, or not at all."""
        storage.record(
            connection,
            node=self._node,
            at=self._clock(),
            event=event,
            actor=actor,
            fields=fields,
        )
