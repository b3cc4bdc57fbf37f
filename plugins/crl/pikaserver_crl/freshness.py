"""Whether every CRL is there and still counts: for health checks and metrics."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pikaserver.api.certificates import CrlSummary
from pikaserver.api.operations import Health, HealthState, Sample
from pikaserver.api.server import Server


class Freshness:
    """Looks at the newest CRL of every key."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def check(self) -> Health:
        """Say which CRLs are missing or past their next update.

        It is never worse than degraded: a node that is taken out of service for a stale CRL
        could not even serve the others.
        """
        summaries = self._server.crls.summaries()
        faults = [*self._missing(summaries), *_stale(summaries, self._server.clock())]
        if faults:
            return Health(HealthState.DEGRADED, "; ".join(faults))
        return Health(HealthState.OK, f"{len(summaries)} CRLs are fresh")

    def next_updates(self) -> list[Sample]:
        """Return for each CRL the seconds until its next update; below zero it is stale."""
        now = self._server.clock()
        return [
            Sample(
                (summary.next_update - now).total_seconds(),
                (("authority", summary.authority), ("generation", str(summary.generation))),
            )
            for summary in self._server.crls.summaries()
        ]

    def _missing(self, summaries: Sequence[CrlSummary]) -> Iterator[str]:
        there = {(summary.authority, summary.generation) for summary in summaries}
        for name in self._server.authorities.names():
            authority = self._server.authorities.get(name)
            for generation in authority.generations:
                expected = authority.enabled and generation.current and generation.key is not None
                if expected and (name, generation.number) not in there:
                    yield f"{name} has no CRL yet"


def _stale(summaries: Sequence[CrlSummary], now: datetime) -> Iterator[str]:
    for summary in summaries:
        if summary.next_update < now:
            name = f"{summary.authority}.g{summary.generation}"
            yield f"the CRL of {name} is stale since {summary.next_update:%Y-%m-%d %H:%M} UTC"
