"""Every parser keeps its promise under a moment of mutation; ``make fuzz`` does it for long."""

import pytest

from tests.fuzz.campaign import Finding, feed, run
from tests.fuzz.targets import TARGETS

SECONDS = 0.3
SEED = 2


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_input_is_taken(name):
    """Otherwise mutation would start from nothing."""
    target = TARGETS[name]

    assert any(feed(target, octets) for octets in target.seeds())


@pytest.mark.parametrize("name", TARGETS)
def test_a_bad_input_is_refused_in_time_and_in_the_promised_words(name):
    """Never another error, never more than a second for 64 KiB."""
    findings = [news.told for news in run(name, SECONDS, SEED) if isinstance(news, Finding)]

    assert not findings, findings[0]
