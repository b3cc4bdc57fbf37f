"""How agents become known: with a code, once, and as the one that the code names."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hsm_agent.identity.enrollment import words_of
from hsm_agent.wire.enrollment_code import EnrollmentCode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.testing.damage import altered
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_line import FakeIdentity, FakeLine
from pikaserver.testing.patience import until
from pikaserver_agents.storage.agents import AgentState
from tests.agents.turning_away import state, turned_away


@pytest.fixture
def newcomer(site):
    """An agent that nobody knows yet; the door is open."""
    agent = FakeAgent("vault-a", clock=site.server.clock)
    site.agents.append(agent)
    return agent


def test_an_agent_enrols_with_a_code_and_connects(site, newcomer):
    """Both sides can show the same digits afterwards."""
    code = site.code("vault-a")
    site.open_door()

    newcomer.enroll(code)
    site.connect(newcomer)

    row = site.office.directory.refresh().agent("vault-a")
    node = site.office.identity.node
    assert (AgentState.ENROLLED, newcomer.identity.pin) == (row.state, row.identity.pin)
    assert site.office.directory.view().nodes == newcomer.nodes
    # The agent that ships takes the same halves of its own identity.
    assert row.words == words_of(node, newcomer.identity)
    events = [event for event, _, _ in site.server.audit.lines]
    assert ["agent.code", "agent.enrolled"] == events
    assert code not in str(site.server.audit.lines)


def test_a_code_is_good_once(site, newcomer):
    """The second one to come with it is told so."""
    code = site.code("vault-a")
    site.open_door()
    newcomer.enroll(code)
    other = FakeAgent("vault-a", clock=site.server.clock)
    site.agents.append(other)

    turned_away(site, other, code, "used before")

    assert newcomer.identity.pin == site.office.directory.refresh().agent("vault-a").identity.pin


def test_a_code_that_is_too_old_is_refused(site, newcomer):
    """15 minutes, unless the operator said more; another code keeps the door open."""
    code = site.code("vault-a")
    site.code("vault-b", validity=timedelta(days=1))
    site.server.clock.advance(timedelta(minutes=16))

    turned_away(site, newcomer, code, "too old")


def test_a_newer_code_makes_the_older_one_worthless(site, newcomer):
    """Of two that lie about only one can be used."""
    first = site.code("vault-a")
    site.code("vault-a")

    turned_away(site, newcomer, first, "too old")


def test_an_altered_code_is_none(site):
    """A code has a checksum, so that a typing error is found at once."""
    code = site.code("vault-a")
    place = len(code) // 2
    altered = code[:place] + ("A" if code[place] != "A" else "B") + code[place + 1 :]

    with pytest.raises(WireError, match="cut or altered"):
        EnrollmentCode.read(altered)


def test_a_code_of_somebody_else_is_refused(site, newcomer):
    """A token that was made up is none of ours."""
    code = EnrollmentCode.read(site.code("vault-a"))

    turned_away(site, newcomer, replace(code, token=bytes(16)).text(), "none of this server's")


def test_a_code_is_for_one_name(site):
    """The agent cannot choose another one."""
    code = site.code("vault-a")
    other = FakeAgent("vault-b", clock=site.server.clock)
    site.agents.append(other)

    turned_away(site, other, code, "for 'vault-a', not for 'vault-b'")

    assert state(site) is None


def test_a_code_for_a_bundle_is_not_for_a_line(site, newcomer):
    """An agent without a line registers by a file."""
    code = site.code("vault-a", offline=True)
    site.code("vault-b")

    turned_away(site, newcomer, code, "by hand, in a file")


def test_an_agent_of_another_version_is_refused(site, newcomer):
    """Both versions are named."""
    newcomer.enrollment = lambda token: replace(
        FakeAgent.enrollment(newcomer, token), versions=(2, 3)
    )

    turned_away(site, newcomer, site.code("vault-a"), "speaks version 1, the agent 2, 3")


def test_a_certificate_that_is_not_the_agents_own_is_refused(site, newcomer):
    """It is signed by the key that it carries, and it holds now."""
    other = FakeIdentity.make("vault-a", site.server.clock)
    signed = altered(other.certificate)
    other.remove()
    newcomer.enrollment = lambda token: replace(
        FakeAgent.enrollment(newcomer, token), certificate=signed
    )

    turned_away(site, newcomer, site.code("vault-a"), "not signed by its own key")


def test_a_clock_that_runs_ahead_is_told(site, newcomer):
    """The certificate begins in a time to come: TLS would refuse it later, without a word."""
    ahead = FakeIdentity.make("vault-a", lambda: site.server.clock() + timedelta(days=800))
    newcomer.identity.remove()
    newcomer.identity = ahead

    turned_away(site, newcomer, site.code("vault-a"), "look at its clock")


def test_octets_for_a_certificate_are_refused(site, newcomer):
    """Whatever the agent sends."""
    newcomer.enrollment = lambda token: replace(
        FakeAgent.enrollment(newcomer, token), certificate=b"certificate"
    )

    turned_away(site, newcomer, site.code("vault-a"), "cannot be read")


def test_a_frame_that_another_key_signed_is_refused(site, newcomer):
    """Who registers a frame key has to have it."""
    code = EnrollmentCode.read(site.code("vault-a"))
    site.agent("vault-b", connect=False)
    newcomer.nodes = site.agents[-1].nodes
    line = FakeLine(newcomer.nodes[0], newcomer.identity, newcomer.now_ms, known=False)
    line.exchange_nonces(bytes(32))
    frame = line.seal(newcomer.enrollment(code.token))
    other = site.agents[-1].identity.frame_key

    line.send_frame(replace(frame, signature=other.sign(SIGNATURE_LABEL + frame.payload)))

    line.last_words()
    line.close()
    until(lambda: site.office.complaints.counts()["frame"])
    assert state(site) is None


def test_a_name_is_taken_for_good(site, newcomer):
    """The journal of a retired agent is kept under it."""
    code = site.code("vault-a")
    site.open_door()
    newcomer.enroll(code)
    site.office.deeds.retire("vault-a", "cli:tester")

    with pytest.raises(Conflict, match="already, retired"):
        site.code("vault-a")


@pytest.mark.parametrize("name", ["", "Vault", "a/b", "-a", "a" * 65, "a b", "a\n"])
def test_names_are_small_words(site, name):
    """They stand in key references, in logs and in files' names."""
    with pytest.raises(RequestRejected, match="no name for an agent"):
        site.code(name)


def test_keys_are_registered_once(site, newcomer):
    """The same keys under another name would be a second agent in the first one's clothes."""
    code = site.code("vault-a")
    site.open_door()
    newcomer.enroll(code)
    newcomer.name = "vault-b"

    turned_away(site, newcomer, site.code("vault-b"), "or one with these keys, is registered")


def test_an_approval_lets_an_agent_in_once(site, newcomer):
    """``--confirm``: it waits until somebody has compared the digits."""
    code = site.code("vault-a", confirm=True)
    site.open_door()
    newcomer.enroll(code)
    assert AgentState.WAITING == state(site)

    site.office.deeds.approve("vault-a", "cli:tester")

    assert AgentState.ENROLLED == state(site)
    with pytest.raises(Conflict, match="is enrolled"):
        site.office.deeds.approve("vault-a", "cli:tester")
