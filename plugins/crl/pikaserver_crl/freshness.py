"""Whether every CRL is there and still counts: for health checks and metrics."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pikaserver.api.crls import FULL_CRL, CrlSummary
from pikaserver.api.operations import Alarm, Health, HealthState, Sample
from pikaserver.api.server import Server


class Freshness:
    """Looks at the newest CRL of every key."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._warned: dict[tuple[str, int, str], int] = {}

    def check(self) -> Health:
        """Say which CRLs are missing, past their next update, or soon will be.

        It is never worse than degraded: a node that is taken out of service for a stale CRL
        could not even serve the others.
        """
        summaries = self._server.crls.summaries()
        faults = [*self._missing(summaries), *_faults(summaries, self._server.clock())]
        if faults:
            return Health(HealthState.DEGRADED, "; ".join(faults))
        return Health(HealthState.OK, f"{len(summaries)} CRLs are fresh")

    def next_updates(self) -> list[Sample]:
        """Return for each CRL the seconds until its next update; below zero it is stale."""
        now = self._server.clock()
        return [
            Sample(
                (summary.next_update - now).total_seconds(),
                (
                    ("authority", summary.authority),
                    ("generation", str(summary.generation)),
                    ("scope", summary.scope),
                ),
            )
            for summary in self._server.crls.summaries()
        ]

    def warn(self) -> None:
        """Announce, once for each CRL, that it ends soon and no newer one came."""
        now = self._server.clock()
        for summary in self._server.crls.summaries():
            place = (summary.authority, summary.generation, summary.scope)
            if not _ends_soon(summary, now) or self._warned.get(place) == summary.number:
                continue
            self._warned[place] = summary.number
            fields = {"authority": summary.authority, "scope": summary.scope}
            self._server.announce(Alarm("crl.ending", _ending(summary), fields))

    def _missing(self, summaries: Sequence[CrlSummary]) -> Iterator[str]:
        there = {(summary.authority, summary.generation) for summary in summaries}
        for name in self._server.authorities.names():
            authority = self._server.authorities.get(name)
            for generation in authority.generations:
                expected = authority.enabled and generation.current and generation.key is not None
                if expected and (name, generation.number) not in there:
                    yield f"{name} has no CRL yet"


def _faults(summaries: Sequence[CrlSummary], now: datetime) -> Iterator[str]:
    for summary in summaries:
        if summary.next_update < now:
            since = f"{summary.next_update:%Y-%m-%d %H:%M} UTC"
            yield f"the CRL of {_name(summary)} is stale since {since}"
        elif _ends_soon(summary, now):
            yield _ending(summary)


def _ends_soon(summary: CrlSummary, now: datetime) -> bool:
    """Tell whether less than a quarter of its life is left, and the next one is overdue.

    Where the next one comes late by design, half of the time between has to be over, too.
    """
    soon = (summary.next_update - summary.this_update) / 4
    if summary.due_at is not None:
        soon = min(soon, (summary.next_update - summary.due_at) / 2)
    return summary.next_update - now < soon


def _ending(summary: CrlSummary) -> str:
    ends = f"{summary.next_update:%Y-%m-%d %H:%M} UTC"
    return f"the CRL of {_name(summary)} ends at {ends}, and no newer one came"


def _name(summary: CrlSummary) -> str:
    part = "" if summary.scope == FULL_CRL else f"-{summary.scope}"
    return f"{summary.authority}.g{summary.generation}{part}"
