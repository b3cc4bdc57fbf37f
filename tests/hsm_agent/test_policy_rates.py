"""How often: rates for a key and for a kind, and quiet hours."""

from datetime import UTC, datetime, timedelta

import pytest

from hsm_agent.policy.verdicts import Allowed, Denied
from hsm_agent.structures.kinds import PROOF_LABEL
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent
from tests.hsm_agent.made_structures import NOW, crl, leaf, rules

CERT = "[profiles.issuing.cert]\ndns = ['*']\nextended-key-usage = ['*']\n"


@pytest.mark.parametrize(
    ("key", "span"),
    [
        ("per-minute", timedelta(minutes=1)),
        ("per-hour", timedelta(hours=1)),
        ("per-day", timedelta(days=1)),
    ],
)
def test_above_a_rate_nothing_is_signed_until_time_has_passed(key, span):
    """The server is told when to ask again."""
    agent = Agent(rules(["cert"], CERT + f"{key} = 2\n"))
    for serial in (1, 2):
        assert isinstance(agent.ask(leaf(serial=serial)), Allowed)

    verdict = agent.ask(leaf(serial=3))

    assert isinstance(verdict, Denied)
    assert ("busy", span / timedelta(milliseconds=2)) == (verdict.code, verdict.after)
    assert f"{key} is 2" in verdict.why
    agent.now = NOW + span + timedelta(seconds=1)
    assert isinstance(agent.ask(leaf(serial=3)), Allowed)


def test_a_retry_does_not_count_twice():
    """The identical octets are no further certificate, also at the limit."""
    agent = Agent(rules(["cert"], CERT + "per-hour = 2\n"))
    for serial in (1, 1, 1, 2, 2, 1):
        assert isinstance(agent.ask(leaf(serial=serial)), Allowed)

    assert isinstance(agent.ask(leaf(serial=3)), Denied)


def test_a_rate_of_a_kind_counts_that_kind_alone():
    """CRLs go on while the certificates of this hour are used up."""
    agent = Agent(rules(["cert", "crl"], CERT + "per-hour = 1\n"))
    agent.ask(leaf(serial=1))

    assert isinstance(agent.ask(leaf(serial=2)), Denied)
    for number in (1, 2, 3):
        assert isinstance(agent.ask(crl(number)), Allowed)


def test_a_rate_of_a_key_counts_all_kinds():
    """It stands above the tables of the kinds."""
    agent = Agent(rules(["cert", "crl"], "per-hour = 2\n" + CERT))
    agent.ask(leaf(serial=1))
    agent.ask(crl(1))

    assert isinstance(agent.ask(leaf(serial=2)), Denied)
    assert isinstance(agent.ask(crl(2)), Denied)


def test_another_key_has_rates_of_its_own():
    """What one key signed does not count for another."""
    agent = Agent(rules(["proof"], "[profiles.issuing.proof]\nper-minute = 1\n"))

    assert isinstance(agent.ask(PROOF_LABEL + bytes(32)), Allowed)
    other = agent.ask(PROOF_LABEL + b"x" * 32, private=made.OTHER_KEY)
    assert isinstance(other, Allowed)
    assert isinstance(agent.ask(PROOF_LABEL + b"y" * 32), Denied)


def test_proofs_are_limited_by_default():
    """Ten a minute are enough for every node of a server."""
    agent = Agent(rules(["proof"]))

    verdicts = [agent.ask(PROOF_LABEL + bytes([n]) * 32) for n in range(11)]

    assert [True] * 10 + [False] == [isinstance(one, Allowed) for one in verdicts]


QUIET = "quiet-hours = ['22:00-05:00', '12:00-13:00']\n"


@pytest.mark.parametrize(
    ("clock", "zone", "quiet"),
    [
        ((11, 59), "UTC", False),
        ((12, 0), "UTC", True),
        ((12, 59), "UTC", True),
        ((13, 0), "UTC", False),
        ((22, 0), "UTC", True),
        ((23, 59), "UTC", True),
        ((0, 0), "UTC", True),
        ((4, 59), "UTC", True),
        ((5, 0), "UTC", False),
        ((4, 30), "Europe/Zurich", False),
        ((21, 30), "Europe/Zurich", True),
    ],
)
def test_quiet_hours(clock, zone, quiet):
    """Certificates rest, also over midnight and by the clock of the place; CRLs go on."""
    agent = Agent(rules(["cert", "crl"], QUIET + f"time-zone = '{zone}'\n" + CERT))
    agent.now = datetime(2026, 11, 22, *clock, tzinfo=UTC)

    verdict = agent.ask(leaf(not_before=agent.now))

    assert quiet is isinstance(verdict, Denied)
    assert not quiet or "quiet hours" in verdict.why
    assert isinstance(agent.ask(crl(1, this_update=agent.now)), Allowed)


def test_a_retry_in_quiet_hours_is_answered():
    """It was decided before they began."""
    agent = Agent(rules(["cert"], QUIET + CERT))
    agent.now = datetime(2026, 11, 22, 11, 59, tzinfo=UTC)
    agent.ask(leaf())
    agent.now = NOW

    assert isinstance(agent.ask(leaf()), Allowed)
