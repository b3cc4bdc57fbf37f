"""The lines of the audit trail, copied to the sinks after the deed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pikaserver.api.operations import AuditSink
from pikaserver.api.storage import Database
from pikaserver.storage.audit import TrailQuery, heads, read


@dataclass(slots=True)
class AuditCopies:
    """Copies the lines of the trail that came since the start, in order, to each sink."""

    database: Database
    sinks: Sequence[AuditSink]
    _seen: dict[int, int] = field(default_factory=dict)

    def skip_past(self) -> None:
        """Begin with the next line."""
        with self.database.reading() as connection:
            self._seen = {node: head.sequence for node, head in heads(connection).items()}

    def run(self) -> None:
        """Copy what is new; after a failure the same lines come again."""
        with self.database.reading() as connection:
            for node in heads(connection):
                after = self._seen.get(node, 0)
                for record in read(connection, TrailQuery(node=node, after=after)):
                    for sink in self.sinks:
                        sink.write(record)
                    self._seen[node] = record.sequence
