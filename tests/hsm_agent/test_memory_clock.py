"""Rates when the host's clock is wrong for a while."""

from datetime import timedelta

from hsm_agent.journal.recent_uses import KEPT, RecentUses
from tests.hsm_agent.journals import NOW
from tests.hsm_agent.remembering import KEY, WHEN, Remembering

YEARS = 70 * 365 * 86_400_000


def test_a_clock_that_was_wrong_once_forgets_no_use():
    """One line from the year 2096, then days of work: rates still count all of it."""
    recent = RecentUses()
    recent.add(KEY, "cert", b"future", NOW + YEARS)
    for minute in range(4 * KEPT // 60_000):
        recent.add(KEY, "cert", b"%d" % minute, NOW + minute * 60_000)
    end = NOW + 4 * KEPT

    assert 60 <= recent.since(KEY, end - 3600_000)["cert"] <= 62
    assert 1440 <= recent.since(KEY, end - 24 * 3600_000)["cert"] <= 1442


def test_an_index_with_a_line_of_the_future_counts_the_present(tmp_path):
    """After a restart, too."""
    side = Remembering(tmp_path)
    try:
        side.clock.now += YEARS
        side.sign(b"future")
        side.clock.now -= YEARS
        for number in range(3):
            side.sign(b"%d" % number)
        side.again()

        assert {"cert": 4} == side.memory.signed_since(KEY, WHEN - timedelta(hours=1), b"")
    finally:
        side.close()
