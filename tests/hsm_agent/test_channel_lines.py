"""Lines to nodes: they come up, carry requests, fall, and come again."""

import threading
from contextlib import ExitStack

import pytest

from hsm_agent.wire.messages import (
    Drain,
    Goodbye,
    Hello,
    Inventory,
    Ping,
    Pong,
    Refused,
    Signed,
)
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent")
    yield side
    side.close()


@pytest.fixture
def server(tmp_path, agent):
    with ExitStack() as stack:

        def make(number=1, **options):
            options.setdefault("agents", [agent.identity])
            node = WireServer(tmp_path / f"node-{number}", number=number, **options)
            stack.callback(node.close)
            return node

        yield make


def test_a_line_greets_answers_and_signs(agent, server):
    """The first message is a Hello; a Ping is answered with its time; a request with its id."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()

    hello = line.welcome()
    line.send(Ping(), sign_request(7))

    assert isinstance(hello, Hello)
    assert "vault-a" == hello.agent
    assert 0 < line.receive(Pong).of
    assert sign_request(7).id == line.receive(Signed).id
    assert ["up"] == [view.state for view in agent.lines.views()]


def test_messages_of_one_frame_are_answered_each(agent, server):
    """64 requests in one frame give 64 answers, in few frames."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()
    line.welcome()

    line.send(*[sign_request(n) for n in range(64)])

    assert {n.to_bytes(16, "big") for n in range(64)} == {
        line.receive(Signed).id for _ in range(64)
    }


def test_a_line_that_is_closed_is_dialled_again(agent, server):
    """And the next one works."""
    node = server()
    agent.lines.start([node.node()])
    node.accept().close()

    line = node.accept()
    line.welcome()
    line.send(sign_request())

    assert b"signature" == line.receive(Signed).signature


def test_several_nodes_have_a_line_each(agent, server):
    """What one node asks is answered to that node."""
    nodes = [server(number) for number in (1, 2, 3)]
    agent.lines.start([node.node() for node in nodes])
    lines = [node.accept() for node in nodes]
    for line in lines:
        line.welcome(nodes=tuple(node.node() for node in nodes))

    for number, line in enumerate(lines):
        line.send(sign_request(number))

    assert [0, 1, 2] == [int.from_bytes(line.receive(Signed).id, "big") for line in lines]
    assert ["up"] * 3 == [view.state for view in agent.lines.views()]


def test_a_new_node_is_learned_from_a_known_one(agent, server):
    """And remembered for the next start."""
    known, new = server(1), server(2)
    agent.lines.start([known.node()])

    known.accept().welcome(nodes=(known.node(), new.node()))
    line = new.accept()
    line.welcome(nodes=(known.node(), new.node()))

    assert [(known.node(), new.node())] == agent.remembered


def test_a_node_that_left_gets_no_line_any_more(agent, server):
    """The others say so; it is told goodbye."""
    staying, leaving = server(1), server(2)
    both = (staying.node(), leaving.node())
    agent.lines.start(both)
    line = staying.accept()
    line.welcome(nodes=both)
    old = leaving.accept()
    old.welcome(nodes=both)
    old.send(sign_request())
    old.receive(Signed)

    line.close()
    staying.accept().welcome(nodes=(staying.node(),))

    assert "stopping" == old.receive(Goodbye).code
    assert [staying.node()] == list(agent.lines.nodes())


def test_pinned_nodes_stay_as_they_are(tmp_path):
    """A server cannot bring in another node where the settings say 'pinned'."""
    side = AgentSide(tmp_path / "agent", pinned=True)
    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.lines.start([node.node()])
    line = node.accept()

    line.welcome(nodes=(node.node(), node.node(pin=bytes(32))))
    line.send(sign_request())
    line.receive(Signed)

    assert [node.node()] == list(side.lines.nodes())
    assert [] == side.remembered
    side.close()
    node.close()


def test_news_go_to_every_line(agent, server):
    """Keys that come and go are told to all nodes."""
    nodes = [server(1), server(2)]
    agent.lines.start([node.node() for node in nodes])
    lines = [node.accept() for node in nodes]
    for line in lines:
        line.welcome(nodes=tuple(node.node() for node in nodes))
        line.send(sign_request())
        line.receive(Signed)

    agent.lines.tell(Inventory(bytes(32), (), ()))

    assert all(line.receive(Inventory) for line in lines)


def test_a_full_window_is_told(tmp_path):
    """The server may ask again: nothing was lost, and nothing waits without bound."""
    side = AgentSide(tmp_path / "agent", threads=1, window=2)
    side.gate.clear()
    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.lines.start([node.node()])
    line = node.accept()
    line.welcome()

    line.send(*[sign_request(n) for n in range(3)])
    refused = line.receive(Refused)
    side.gate.set()

    assert ("busy", True) == (refused.code, refused.retry)
    assert refused.after > 0
    assert {0, 1} == {int.from_bytes(line.receive(Signed).id, "big") for _ in range(2)}
    side.close()
    node.close()


def test_draining_answers_what_was_taken_and_refuses_the_rest(agent, server):
    """What crossed the word is answered; the last word is a goodbye."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()
    line.welcome()
    agent.gate.clear()
    line.send(sign_request(1))
    line.beat()
    line.receive(Pong)

    draining = threading.Thread(target=agent.lines.drain)
    draining.start()
    line.receive(Drain)
    line.send(sign_request(2))
    line.send(Drain())
    line.send(sign_request(3))
    refused = line.receive(Refused)
    agent.gate.set()

    assert (sign_request(3).id, "draining", True) == (refused.id, refused.code, refused.retry)
    answered = {line.receive(Signed).id for _ in range(2)}
    assert {sign_request(1).id, sign_request(2).id} == answered
    draining.join()
    assert agent.workers.wait_idle(5)
    agent.lines.stop()
    assert "stopping" == line.receive(Goodbye).code


def test_a_server_that_says_goodbye_is_dialled_later(agent, server):
    """Its reason is shown to people."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()
    line.delivery()
    line.send(Goodbye("journal", b"the journal is shorter than it was"))

    node.accept()

    (view,) = agent.lines.views()
    assert "the server said journal: the journal is shorter than it was" == view.fault


def test_a_window_with_thousands_of_requests_starts_few_threads(agent):
    """Threads are made when they are needed, up to the setting."""
    done = []
    for number in range(50):
        agent.workers.submit(lambda number=number: done.append(number))

    assert agent.workers.wait_idle(5)
    assert sorted(done) == list(range(50))
