"""How audit records look, and the last ones of them."""

from collections import deque

from sqlalchemy import Connection

from pikaserver.api.operations import AuditRecord
from pikaserver.cli.output import Record
from pikaserver.storage import audit


def last_records(
    connection: Connection, last: int, *, event: str | None, actor: str | None
) -> list[AuditRecord]:
    """Return the last records of all nodes in the order of their times."""
    found: list[AuditRecord] = []
    for node, head in audit.heads(connection).items():
        # Without a filter the first ones need not be read; with one nobody knows where to begin.
        after = None if event or actor else head.sequence - last
        query = audit.TrailQuery(node=node, after=after, event=event, actor=actor)
        found += deque(audit.read(connection, query), maxlen=last)
    return sorted(found, key=lambda one: (one.at, one.node, one.sequence))[-last:]


def record_row(record: AuditRecord) -> Record:
    """Return the columns of a list."""
    return {
        "at": record.at,
        "event": record.event,
        "actor": record.actor,
        "fields": {name: value for name, value in record.fields.items() if value is not None},
        "node": record.node,
        "sequence": record.sequence,
    }
