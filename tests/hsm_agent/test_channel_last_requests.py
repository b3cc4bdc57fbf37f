"""Requests that come in one frame with the word that nothing more comes."""

import pytest

from hsm_agent.wire.messages import Drain, Signed
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent")
    yield side
    side.close()


@pytest.fixture
def line(tmp_path, agent):
    node = WireServer(tmp_path / "node", agents=[agent.identity])
    agent.lines.start([node.node()])
    line = node.accept()
    line.welcome()
    yield line
    node.close()


def test_requests_before_the_last_word_are_taken_before_it_counts(agent, line, monkeypatch):
    """Else an agent that stops finds nothing unanswered, and goes with their answers."""
    states, reserve = [], agent.workers.reserve

    def noting(requests):
        states.extend(view.state for view in agent.lines.views())
        return reserve(requests)

    monkeypatch.setattr(agent.workers, "reserve", noting)

    line.send(sign_request(1), sign_request(2), Drain())

    answered = {int.from_bytes(line.receive(Signed).id, "big") for _ in range(2)}
    assert {1, 2} == answered
    assert ["up"] == states
