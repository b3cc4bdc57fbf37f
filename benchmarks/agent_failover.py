"""How long nobody gets a signature when the agent that is asked dies, or stands still."""

from collections.abc import Sequence

from agent_asking import Event, Figures, asking
from agent_houses import House
from measuring import percentile

HEAD = ("first agent gets", "longest pause ms", "longest answer ms", "p50 ms", "not answered")
CLIENTS = 4
WARM_UP = 3.0
"""Seconds in which the first agent, too, finds the server."""
BEFORE, AFTER = 1.5, 4.5
"""Seconds that are measured before it happens and after."""


def failovers(house: House) -> list[Sequence[object]]:
    """Kill the first agent, have it back, and let it stand still; a second one has its key."""
    with asking(house) as measure:
        measure(CLIENTS, WARM_UP)
        killed = measure(CLIENTS, BEFORE + AFTER, Event(BEFORE, house.agent.kill))
    house.agent.start()
    with asking(house) as measure:
        measure(CLIENTS, WARM_UP)
        stopped = measure(CLIENTS, BEFORE + AFTER, Event(BEFORE, house.agent.pause))
    return [_row("SIGKILL", killed), _row("SIGSTOP", stopped)]


def _row(how: str, figures: Figures) -> Sequence[object]:
    if figures.faults:
        print(f"{how}: the first request without an answer: {figures.faults[0]}")
    return (
        how,
        figures.pause * 1000,
        figures.latencies[-1] * 1000,
        percentile(figures.latencies, 0.5) * 1000,
        len(figures.faults),
    )
