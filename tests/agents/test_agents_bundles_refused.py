"""Files between server and agent that are altered, of somebody else, too old, or none."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.wire.bundles import ANSWERS, BUNDLE_LIFE, MAGIC, REQUESTS, Bundle
from hsm_agent.wire.frames import Frame
from pikaserver.api.errors import (
    Conflict,
    MalformedRequest,
    NotAuthenticated,
    NotFound,
)
from pikaserver.testing.damage import altered
from pikaserver.testing.fake_agent import FakeAgent
from tests.agents.carried import BY, export, pending, registered


@pytest.fixture
def agent(site):
    return registered(site)


def test_answers_of_somebody_else_are_refused(site, agent, certificate_tbs):
    """Only this agent's frame key counts, and only for what was asked."""
    pending(site, certificate_tbs, "carry")
    octets, _ = export(site)
    answers = Bundle.of(agent.answer_bundle(octets), ANSWERS)
    (asking, frame), *_ = answers.frames
    forged = Frame(Frame.of(frame).payload, site.office.identity.sign(b"anything")).octets()

    theirs = replace(answers, frames=((asking, forged),))
    foreign = site.office.bundles.import_(theirs.octets(), BY)
    altered = frame[:-70] + bytes([frame[-70] ^ 1]) + frame[-69:]
    broken = replace(answers, frames=((asking, altered),))
    wrong = site.office.bundles.import_(broken.octets(), BY)
    unknown = replace(answers, frames=((bytes(32), frame),))
    nobody = site.office.bundles.import_(unknown.octets(), BY)

    assert [0, 0, 0] == [foreign.answers, wrong.answers, nobody.answers]
    assert all(one.faults for one in (foreign, wrong, nobody))
    pending(site, certificate_tbs, "bring its answer")


def test_a_bundle_that_is_too_old_is_refused(site, agent, certificate_tbs):
    """A journey takes days, not months."""
    pending(site, certificate_tbs, "carry")
    octets, _ = export(site)
    answers = agent.answer_bundle(octets)
    site.server.clock.advance(timedelta(milliseconds=BUNDLE_LIFE + 1))

    done = site.office.bundles.import_(answers, BY)

    assert (0, True) == (done.answers, "away" in done.faults[0])


@pytest.mark.parametrize("octets", [b"", MAGIC, b"x" * 100, Bundle(REQUESTS, "a", ()).octets()])
def test_files_that_are_no_answers_are_refused(site, octets):
    """Whatever somebody picked up."""
    with pytest.raises(MalformedRequest):
        site.office.bundles.import_(octets, BY)


def test_answers_of_an_agent_that_is_not_known_are_refused(site):
    """The name in the file says whose key to take."""
    with pytest.raises(NotFound):
        site.office.bundles.import_(Bundle(ANSWERS, "vault-x", ()).octets(), BY)


def test_agents_with_a_line_get_no_bundles(site):
    """What waits would wait for ever."""
    site.agent("vault-a", "issuing")

    with pytest.raises(Conflict, match="bundles are for agents without a line"):
        export(site, "vault-a")


def test_a_registration_is_good_once(site):
    """As over a line."""
    agent = FakeAgent("vault-o", clock=site.server.clock)
    site.agents.append(agent)
    file = agent.registration(site.code("vault-o", offline=True))
    site.office.bundles.register(file, site.office.enrollments)

    with pytest.raises(NotAuthenticated, match="used before"):
        site.office.bundles.register(file, site.office.enrollments)


def test_a_registration_belongs_to_its_code(site):
    """Its frame is sealed for this token alone."""
    agent = FakeAgent("vault-o", clock=site.server.clock)
    site.agents.append(agent)
    file = Bundle.of(agent.registration(site.code("vault-o", offline=True)), "registration")
    ((_, frame),) = file.frames

    register = site.office.bundles.register
    forged = replace(file, frames=((b"", altered(frame)),)).octets()
    both = replace(file, frames=file.frames * 2).octets()
    line = agent.registration(site.code("vault-o"))

    with pytest.raises(MalformedRequest, match="no registration"):
        register(forged, site.office.enrollments)
    with pytest.raises(MalformedRequest):
        register(both, site.office.enrollments)
    with pytest.raises(NotAuthenticated, match="over a line"):
        register(line, site.office.enrollments)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(max_size=120))
def test_no_file_does_harm(site, octets):
    """Nothing but the family of errors comes out."""
    for file in (octets, MAGIC + octets):
        with pytest.raises(MalformedRequest):
            site.office.bundles.import_(file, BY)
        with pytest.raises(MalformedRequest):
            site.office.bundles.register(file, site.office.enrollments)
