"""How the targets are: for the readiness, for metrics and for operators."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from pikaserver.api.operations import Health, HealthCheck, HealthState, Metric, Sample
from pikaserver.publishing.items import Supply, Wanted, is_newer, wanted
from pikaserver.publishing.queue import TargetQueue
from pikaserver.publishing.workers import Publishing, Worker
from pikaserver.storage.publications import WHOLE_TARGET, Item, Publication

LONG_SECONDS = 300.0
"""A delivery that takes longer is told of."""

Row = dict[str, object]


class Reports:
    """Looks at the targets' queues."""

    def __init__(self, publishing: Publishing, supply: Callable[[], Supply]) -> None:
        self._publishing = publishing
        self._supply = supply

    def health_checks(self) -> list[HealthCheck]:
        """Return the check of all targets."""
        return [HealthCheck("publishing", self.check)] if self._publishing.workers else []

    def check(self) -> Health:
        """Say which targets fail; the server itself goes on, so it is never worse than degraded."""
        faults = [fault for worker in self._publishing.workers for fault in _faults(worker)]
        if faults:
            return Health(HealthState.DEGRADED, "; ".join(faults))
        return Health(HealthState.OK, f"{len(self._publishing.workers)} targets have no failures")

    def metrics(self) -> list[Metric]:
        """Return what is counted of each target."""
        return [
            Metric(
                "pikaserver_publish_waiting",
                "CRLs, certificates and statuses that a target lacks.",
                "gauge",
                self._waiting,
            ),
            Metric(
                "pikaserver_publish_failures",
                "Failures of a target, or of its items, since they went well last.",
                "gauge",
                lambda: self._each(_failures),
            ),
            Metric(
                "pikaserver_publish_delivered_total",
                "What this process pushed to a target.",
                "counter",
                lambda: self._each(lambda queue: queue.delivered),
            ),
            Metric(
                "pikaserver_publish_failed_total",
                "What this process could not push to a target.",
                "counter",
                lambda: self._each(lambda queue: queue.failed),
            ),
        ]

    def _waiting(self) -> list[Sample]:
        if not self._publishing.workers:
            return []
        supply = self._supply()
        return self._each(lambda queue: len(queue.waiting(supply)))

    def _each(self, count: Callable[[TargetQueue], int]) -> list[Sample]:
        queues = [worker.queue for worker in self._publishing.workers]
        return [Sample(float(count(queue)), (("target", queue.name),)) for queue in queues]


def rows(queue: TargetQueue, supply: Supply, now: datetime) -> list[Row]:
    """Return a target as a list for operators: itself first, then what it has or lacks."""
    known = queue.ledger.read()
    whole = known.get(WHOLE_TARGET)
    lacking = len(queue.waiting(supply))
    states = {True: f"lacks {lacking}", False: "has everything"}
    first = _row(queue, WHOLE_TARGET, whole, states[lacking > 0], now)
    return [first, *(_item_row(queue, one, known, now) for one in wanted(supply, queue.target))]


def _item_row(
    queue: TargetQueue, one: Wanted, known: dict[Item, Publication], now: datetime
) -> Row:
    row = known.get(one.item)
    waits = row is None or is_newer(one.version, one.number, row)
    return _row(queue, one.item, row, "waiting" if waits else "published", now)


def _row(queue: TargetQueue, item: Item, row: Publication | None, state: str, now: datetime) -> Row:
    row = row or Publication(queue.name, queue.ledger.node, item)
    failing = row.failures and row.failing_since is not None
    return {
        "target": queue.name,
        "what": " ".join(word for word in (item.kind, item.scope) if word),
        "authority": item.authority or queue.target.place,
        "generation": item.generation or None,
        "state": f"failing, {state}" if failing else state,
        "number": row.number or None,
        "published_at": row.published_at,
        "failures": row.failures,
        "next_try": row.retry_at if row.retry_at and row.retry_at > now else None,
        "error": row.error,
    }


def _faults(worker: Worker) -> Sequence[str]:
    found = [
        f"{worker.queue.name}: {_name(row.item)} since {row.failing_since:%Y-%m-%d %H:%M} UTC:"
        f" {row.error}"
        for row in worker.queue.ledger.read().values()
        if row.failures and row.failing_since is not None
    ]
    since = worker.busy_since
    if since is not None and time.monotonic() - since > LONG_SECONDS:
        minutes = (time.monotonic() - since) / 60
        found.append(f"{worker.queue.name} has been busy for {minutes:.0f} minutes")
    return found


def _name(item: Item) -> str:
    if item == WHOLE_TARGET:
        return "not reached"
    part = f" {item.scope}" if item.scope else ""
    return f"{item.kind} of {item.authority}.g{item.generation}{part} refused"


def _failures(queue: TargetQueue) -> int:
    return sum(row.failures for row in queue.ledger.read().values())
