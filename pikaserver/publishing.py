"""Pushes to the outside after the deed: fresh CRLs to publishers, the trail to audit sinks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from pikaserver.api.certificates import Crls
from pikaserver.api.operations import AuditSink, Publisher
from pikaserver.api.storage import Database
from pikaserver.storage.audit import TrailQuery, heads, read

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Publishing:
    """Gives each publisher each CRL once; what failed is tried again with the next run."""

    crls: Crls
    publishers: Sequence[Publisher]
    _done: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def run(self) -> None:
        """Push what is newer than what was pushed."""
        for summary in self.crls.summaries():
            for publisher in self.publishers:
                target = (publisher.name, summary.authority, summary.generation)
                if self._done.get(target) == summary.number:
                    continue
                try:
                    publisher.publish(self.crls.latest(summary.authority, summary.generation))
                except Exception:  # noqa: BLE001 - a plugin's failure concerns nobody else
                    _log.exception(
                        "CRL not published",
                        extra={"publisher": publisher.name, "authority": summary.authority},
                    )
                    continue
                self._done[target] = summary.number


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
