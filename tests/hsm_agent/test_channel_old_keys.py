"""An agent that was told of a node's new keys hears nothing more of who has the old ones."""

import threading

import pytest

from hsm_agent.wire.messages import Drain, Ping, Pong, Signed
from pikaserver.testing.patience import until
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent")
    yield side
    side.close()


@pytest.fixture
def node(tmp_path, agent):
    made = []

    def make(name, number):
        made.append(WireServer(tmp_path / name, number=number, agents=[agent.identity]))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def nodes(node):
    """Two nodes, and the place where the first one has its new keys."""
    return node("old", 1), node("other", 2), node("new", 1)


def let_it_read(line):
    """Return when the agent has read what was sent before."""
    line.send(Ping())
    line.receive(Pong)


def test_who_has_the_old_keys_cannot_bring_an_agent_back(agent, nodes):
    """They hear that the agent leaves, and answer with the list of before."""
    thief, other, new = nodes
    of_before, of_now = (thief.node(), other.node()), (new.node(), other.node())
    agent.lines.start(of_before)
    stolen = thief.accept()
    hello = stolen.welcome(nodes=of_before)
    other.accept().welcome(nodes=of_now)
    stolen.receive(Drain)

    stolen.welcome(nodes=of_before, hello=hello)
    let_it_read(stolen)

    assert [of_now] == agent.remembered
    stolen.send(Drain())
    line = new.accept()
    line.welcome(nodes=of_now)
    line.send(sign_request())
    assert sign_request().id == line.receive(Signed).id
    assert set(of_now) == set(agent.lines.nodes())
    assert [of_now] == agent.remembered


def test_a_line_under_old_keys_is_not_dialled_again_while_it_is_left(agent, nodes):
    """It broke, and an answer that nobody waits for any more takes its time."""
    thief, other, new = nodes
    dialled, dial = [], agent.dial
    agent.dial = lambda node: dialled.append(node) or dial(node)
    agent.lines.start([thief.node(), other.node()])
    agent.gate.clear()
    line = thief.accept()
    line.welcome(nodes=(thief.node(), other.node()))
    line.send(sign_request())
    let_it_read(line)
    other.accept().welcome(nodes=(new.node(), other.node()))
    line.receive(Drain)

    line.close()
    until(lambda: "node 1" not in {one.name for one in threading.enumerate()}, "its end")

    agent.gate.set()
    new.accept().welcome(nodes=(new.node(), other.node()))
    assert [1, 1, 1] == [dialled.count(one.node()) for one in nodes]
