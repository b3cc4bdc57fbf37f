"""A line that ends because of what came on it."""

from hsm_agent.wire.messages import (
    Goodbye,
    Mark,
    Pong,
)
from pikaserver.testing.patience import until

PONG = Pong(1, 0, Mark(0, bytes(32)))


def ends(site, line, reason="frame"):
    """The line ends within a moment, with one complaint of that kind, and nothing is signed."""
    words = line.last_words()
    until(lambda: site.office.complaints.counts()[reason] == 1, f"a complaint about {reason}")
    until(lambda: not site.office.lines.present(), "the end of the line")
    until(lambda: [one for one in site.server.audit.lines if one[0] == "agent.refused"])
    assert reason == site.server.audit.lines[-1][2]["reason"]
    assert [] == site.history()
    return [word for word in words if isinstance(word, Goodbye)]
