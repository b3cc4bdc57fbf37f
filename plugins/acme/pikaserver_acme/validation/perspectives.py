"""Looking from every vantage point of a policy, at the same time, and what they agree on."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from pikaserver_acme.validation.addresses import AddressGuard, Network, read_networks
from pikaserver_acme.validation.attempt import Attempt, Failed
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.question import Limits, VantagePoint
from pikaserver_acme.validation.resolver import Resolver

Look = Callable[[Lookout], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of looking; ``failure`` is ``None`` when enough of the points are satisfied."""

    failure: Failed | None
    lines: tuple[str, ...]


class Perspectives:
    """Gives each vantage point its own attempt, with its own clock, resolver and pinned names."""

    def __init__(
        self,
        executor: Executor,
        own_ports: Callable[[], frozenset[int]] = frozenset,
        refused: Sequence[Network] = (),
    ) -> None:
        self._executor = executor
        self._own_ports = own_ports
        self._refused = refused

    def look(self, limits: Limits, look: Look) -> Finding:
        """Look from all points; one alone looks in the calling thread."""
        guard = AddressGuard(
            read_networks(limits.reachable),
            self._refused,
            self._own_ports,
            read_networks(limits.reachable_directly),
        )
        points = limits.vantage_points

        def from_point(point: VantagePoint) -> Finding:
            attempt = Attempt(limits.timeout_seconds)
            resolver = Resolver(point.dns, point.source)
            return _looked(look, Lookout(resolver, guard, attempt, point.source))

        if len(points) == 1:
            return from_point(points[0])
        findings = list(self._executor.map(from_point, points))
        return _agreed(points, findings, limits.dissenting)


def _looked(look: Look, lookout: Lookout) -> Finding:
    lines = lookout.attempt.lines
    try:
        look(lookout)
    except Failed as failure:
        lookout.attempt.note(f"failed: {failure.detail}")
        return Finding(failure, tuple(lines))
    lookout.attempt.note("succeeded")
    return Finding(None, tuple(lines))


def _agreed(points: Sequence[VantagePoint], findings: list[Finding], dissenting: int) -> Finding:
    """Return the common finding; one point at least has to be satisfied."""
    lines = tuple(
        f"{point.name}: {line}"
        for point, finding in zip(points, findings, strict=True)
        for line in finding.lines
    )
    failures = [
        (point, finding.failure)
        for point, finding in zip(points, findings, strict=True)
        if finding.failure is not None
    ]
    if len(failures) <= min(dissenting, len(points) - 1):
        return Finding(None, lines)
    point, first = failures[0]
    again = any(failure.again for _, failure in failures)
    detail = f"seen from {point.name!r}: {first.detail}"
    return Finding(Failed(first.error, detail, again=again), lines)
