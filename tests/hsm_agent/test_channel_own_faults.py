"""A fault of the agent itself costs a line, and never the node."""

import errno
from dataclasses import replace

import pytest

from hsm_agent import clock
from hsm_agent.channel.faults import NotKnownThere
from hsm_agent.channel.greeting import Surroundings
from hsm_agent.identity import identities
from hsm_agent.identity.identities import Identities
from hsm_agent.identity.identity import load_identity, make_identity, make_next_identity
from hsm_agent.places import Place
from hsm_agent.wire.messages import Node, Signed
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent")
    yield side
    side.close()


@pytest.fixture
def node(tmp_path, agent):
    server = WireServer(tmp_path / "node", agents=[agent.identity])
    yield server
    server.close()


def test_a_node_is_dialled_again_after_a_fault_of_the_agent(agent, node):
    """The list of nodes could not be written: the disk was full for a moment."""
    faults = [OSError(errno.ENOSPC, "No space left on device")]

    def learn(nodes, by):
        if faults:
            raise faults.pop()
        agent.lines.learn(nodes, by)

    agent.desk = replace(agent.desk, learned=learn)
    agent.lines.start([node.node()])
    node.accept().welcome()

    line = node.accept()
    line.welcome()
    line.send(sign_request())

    assert sign_request().id == line.receive(Signed).id
    assert [] == faults


def test_two_lines_may_find_a_rotation_that_was_cut_short_at_once(tmp_path, monkeypatch):
    """The server knows the next keys; the second thread finds that they count already."""
    place = Place(tmp_path / "agent")
    made = (place.identity, "vault-a", clock.now(), clock.entropy)
    old, new = make_identity(*made), make_next_identity(*made)
    ours = Identities(place, "vault-a", Surroundings(clock.now_ms, clock.entropy))
    dialled = []

    def open_line(node, identity, *_, **__):
        if identity.pin == old.pin:
            raise NotKnownThere
        dialled.append(node)
        if len(dialled) == 1:
            ours.dial(two)
        return identity.pin

    monkeypatch.setattr(identities, "open_line", open_line)
    one, two = (Node(n, f"node-{n}:8444", bytes(32), bytes(32)) for n in (1, 2))

    assert new.pin == ours.dial(one)

    assert [one, two] == dialled
    assert new.pin == ours.present().pin == load_identity(place.identity).pin
