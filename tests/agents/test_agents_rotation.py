"""New keys of an agent: over its own line, or by a code, and never for another."""

from dataclasses import replace

import pytest

from hsm_agent.wire.messages import Enrolled
from pikaserver.api.errors import Conflict, NotFound
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_line import FakeIdentity, LineEnded
from pikaserver.testing.patience import until
from pikaserver_agents.storage.codes import Purpose
from tests.agents.turning_away import turned_away


@pytest.fixture
def newcomer(site):
    """An agent that nobody knows yet; the door is open."""
    agent = FakeAgent("vault-a", clock=site.server.clock)
    site.agents.append(agent)
    return agent


def test_an_agent_changes_its_keys_over_its_own_line(site):
    """The old ones count until the new ones are used; nothing has to be carried."""
    agent = site.agent("vault-a", "issuing")
    old, new = agent.identity, FakeIdentity.make("vault-a", site.server.clock)
    agent.identity = new
    agent.tell(agent.enrollment(b""))
    until(lambda: site.office.directory.refresh().agent("vault-a").following)
    assert site.office.lines.get("vault-a")

    agent.die()
    site.connect(agent)

    row = site.office.directory.refresh().agent("vault-a")
    assert (new.pin, None) == (row.identity.pin, row.following)
    assert ["agent.rotating", "agent.rotated"] == [
        event for event, _, _ in site.server.audit.lines if "rotat" in event
    ]
    agent.die()
    agent.identity = old
    with pytest.raises((LineEnded, OSError)):
        agent.connect()
    old.remove()
    agent.identity = new


def test_the_server_answers_a_rotation(site):
    """The agent waits for that before it lets its old keys go."""
    agent = site.agent("vault-a")
    raw = agent.dial()
    raw.send(agent.hello())
    raw.receive()
    new = FakeIdentity.make("vault-a", site.server.clock)
    agent.identity.remove()
    agent.identity = new

    raw.send(agent.enrollment(b""))

    heard = until(lambda: [m for m in raw.receive().messages if isinstance(m, Enrolled)])
    assert "vault-a" == heard[0].agent
    raw.close()


def test_an_agent_rotates_only_its_own_keys(site):
    """An agent that was taken over cannot take another one's place."""
    first, second = site.agent("vault-a"), site.agent("vault-b")

    first.tell(replace(second.enrollment(b""), agent="vault-b"))
    until(lambda: 1 == site.office.complaints.counts()["enrollment"])
    first.tell(replace(second.enrollment(b""), agent="vault-a"))
    until(lambda: 2 == site.office.complaints.counts()["enrollment"])

    view = site.office.directory.refresh()
    assert [None, None] == [row.following for row in view.agents.values()]


def test_lost_keys_are_replaced_by_a_code(site, newcomer):
    """``agent rotate`` makes one; the agent has to be one that is known."""
    with pytest.raises(NotFound):
        site.code("vault-a", Purpose.ROTATE)
    code = site.code("vault-a")
    site.open_door()
    newcomer.enroll(code)
    newcomer.identity.remove()
    newcomer.identity = FakeIdentity.make("vault-a", site.server.clock)

    newcomer.enroll(site.code("vault-a", Purpose.ROTATE))
    site.connect(newcomer)

    row = site.office.directory.refresh().agent("vault-a")
    assert newcomer.identity.pin == row.identity.pin


def test_a_retired_agent_gets_no_new_keys(site, newcomer):
    """It would be a way back in."""
    code = site.code("vault-a")
    site.open_door()
    newcomer.enroll(code)
    rotation = site.code("vault-a", Purpose.ROTATE)
    site.office.deeds.retire("vault-a", "cli:tester")
    site.code("vault-b")

    with pytest.raises(Conflict, match="gets no new keys"):
        site.code("vault-a", Purpose.ROTATE)
    turned_away(site, newcomer, rotation, "gets no new keys")
