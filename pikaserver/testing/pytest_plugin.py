"""The pytest plugin: fixtures for whoever tests a plugin, and a list of what was not tested.

Loaded by every pytest run beside an installed pikaserver, so it imports next to nothing.
"""

from collections import Counter

import pytest

from pikaserver.testing.clock import CountedEntropy, FrozenClock
from pikaserver.testing.requirements import NEEDS


@pytest.fixture
def pikaserver_clock() -> FrozenClock:
    """Give a clock that stands still."""
    return FrozenClock()


@pytest.fixture
def pikaserver_entropy() -> CountedEntropy:
    """Give randomness that is the same in every run."""
    return CountedEntropy()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the programs for want of which tests were skipped, where nobody overlooks it."""
    reasons = Counter(
        reason
        for report in terminalreporter.getreports("skipped")
        if (reason := _reason(report)).startswith(NEEDS)
    )
    if not reasons:
        return
    terminalreporter.section("NOT TESTED on this machine", sep="!", yellow=True, bold=True)
    for reason, tests in sorted(reasons.items()):
        terminalreporter.line(f"{tests} skipped: {reason}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if not isinstance(report.longrepr, tuple):
        return ""
    return report.longrepr[2].removeprefix("Skipped: ")
