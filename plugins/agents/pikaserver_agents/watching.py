"""Health and metrics: which agents are away, and whom that concerns."""

from collections.abc import Iterator, Mapping

from pikaserver.api.operations import Health, HealthState, Metric, Sample
from pikaserver.api.signing import KeyReference
from pikaserver_agents.authority_uses import Use
from pikaserver_agents.office import Office
from pikaserver_agents.references import SCHEME, read_reference
from pikaserver_agents.storage.agents import AgentState
from pikaserver_agents.structures import sha256

_IN_FLIGHT = "Requests that an agent has not answered yet, on this node."
_REFUSALS = "Refusals of an agent, by their code."
_EXPECTED = (AgentState.ENROLLED, AgentState.DRAINING, AgentState.LOCKED)


class Watch:
    """Looks at agents for those who watch the server."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def health(self) -> Health:
        """Say which agents that serve an authority are away.

        It is never worse than degraded: CRLs and states are served on without any agent.
        """
        faults = list(dict.fromkeys(self._faults()))
        if faults:
            return Health(HealthState.DEGRADED, "; ".join(faults))
        up = sum(1 for name in self._office.directory.view().agents if self._is_up(name))
        return Health(HealthState.OK, f"{up} agents are connected")

    def metrics(self) -> list[Metric]:
        """Return the metrics."""
        office, read = self._office, self._office.figures.read
        return [
            Metric("pikaserver_agent_up", "Whether an agent has a line.", "gauge", self._up),
            Metric("pikaserver_agent_in_flight", _IN_FLIGHT, "gauge", self._in_flight),
            Metric(
                "pikaserver_agent_signature_seconds_count",
                "Signatures that an agent gave.",
                "counter",
                lambda: _by_agent(read().signatures),
            ),
            Metric(
                "pikaserver_agent_signature_seconds_sum",
                "How long these signatures took together.",
                "counter",
                lambda: _by_agent(read().seconds),
            ),
            Metric("pikaserver_agent_refusals_total", _REFUSALS, "counter", self._refusals),
            Metric(
                "pikaserver_agent_failovers_total",
                "Requests that went on to another agent.",
                "counter",
                lambda: [Sample(float(read().failovers))],
            ),
            Metric(
                "pikaserver_agent_complaints_total",
                "Connections and frames that were refused, by reason.",
                "counter",
                lambda: [
                    Sample(float(count), (("reason", reason),))
                    for reason, count in office.complaints.counts().items()
                ],
            ),
        ]

    def _in_flight(self) -> list[Sample]:
        lines = self._office.lines.present()
        return _by_agent(
            {name: line.in_flight for name, line in lines.items() if line.ready and not line.closed}
        )

    def _refusals(self) -> list[Sample]:
        return [
            Sample(float(count), (("agent", name), ("code", code)))
            for (name, code), count in sorted(self._office.figures.read().refusals.items())
        ]

    def _up(self) -> list[Sample]:
        return [
            Sample(float(self._is_up(name)), (("agent", name),))
            for name, row in self._office.directory.view().agents.items()
            if row.state in _EXPECTED
        ]

    def _is_up(self, name: str) -> bool:
        return self._office.whereabouts.is_up(name)

    def _faults(self) -> Iterator[str]:
        works = self._office.listener.works
        if works is not None and works.keeper.fault:
            yield works.keeper.fault
        for uses in self._office.uses.present().by_key.values():
            for use in uses:
                if use.enabled and use.current and use.reference.startswith(f"{SCHEME}:"):
                    yield from self._faults_of(use)

    def _faults_of(self, use: Use) -> Iterator[str]:
        office = self._office
        view = office.directory.view()
        reference = KeyReference.parse(use.reference)
        holders = {row.agent for row in view.holders(sha256(use.public_key))}
        named = read_reference(reference).agent
        away = [
            name
            for name in sorted(holders | ({named} & view.agents.keys()))
            if view.agents[name].state in _EXPECTED and not self._is_up(name)
        ]
        able = any(
            self._is_up(name) or view.agents[name].state is AgentState.OFFLINE for name in holders
        )
        for name in away:
            effect = "is served without it" if able else "cannot sign"
            yield f"{office.whereabouts.explain_agent(name)}; authority {use.authority} {effect}"
        if not able and not away:
            yield f"authority {use.authority} cannot sign: no agent announces its key"


def _by_agent(values: Mapping[str, float]) -> list[Sample]:
    return [Sample(float(value), (("agent", name),)) for name, value in sorted(values.items())]
