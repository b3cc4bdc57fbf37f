"""Agents that are turned away at the door."""

import pytest

from pikaserver.testing.fake_agent import Dismissed
from pikaserver.testing.patience import until


def state(site, name="vault-a"):
    row = site.office.directory.refresh().agents.get(name)
    return row and row.state


def turned_away(site, agent, code, why):
    """The agent is refused in words, which the audit trail has, and stays unknown."""
    before = state(site, agent.name)
    site.open_door()
    with pytest.raises(Dismissed, match=why):
        agent.enroll(code)
    until(lambda: site.office.complaints.counts()["enrollment"])
    told = site.server.audit.lines
    until(lambda: any("enrollment" == fields.get("reason") for *_, fields in told))
    assert before == state(site, agent.name)
