"""Requests for a busy key wait, and then go on together."""

import threading
from dataclasses import replace

import pytest

from hsm_agent.channel.gathering import FEW, MOST, Gathering
from hsm_agent.wire.messages import Ping, Pong, Signed
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer

NAME = (bytes(32), "ed25519")
OTHER = (bytes(32), "ml-dsa-65")
ALL = FEW + 3
"""Requests in one test: what keeps a key busy, and three that wait."""


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent", threads=FEW)
    side.sign = side.desk.sign

    def sign(requests, facts):
        return side.sign(requests, facts)

    side.desk = replace(side.desk, sign=sign)
    yield side
    side.close()


@pytest.fixture
def line(tmp_path, agent):
    node = WireServer(tmp_path / "node", agents=[agent.identity])
    agent.lines.start([node.node()])
    line = node.accept()
    line.welcome(dead=60_000)
    yield line
    node.close()


def let_it_read(line):
    """Return when the agent has read what was sent before."""
    line.send(Ping())
    line.receive(Pong)


def test_jobs_begin_until_a_key_has_enough():
    """What comes then waits for it; another key has jobs of its own."""
    gathering = Gathering()

    begun = []
    for number in range(FEW + 2):
        begun.append(gathering.put(NAME, [sign_request(number)]))
        if begun[-1]:
            gathering.take(NAME)

    assert [True] * FEW + [False] * 2 == begun
    assert gathering.put(OTHER, [sign_request(9)])


def test_only_one_job_begins_for_what_waits():
    """It takes all of that: a second one would find nothing."""
    gathering = Gathering()

    begun = [gathering.put(NAME, [sign_request(number)]) for number in range(3)]

    assert [True, False, False] == begun
    assert [sign_request(number).id for number in range(3)] == [
        one.id for one in gathering.take(NAME)
    ]


def test_the_next_job_begins_when_few_are_left():
    """A job is of so many at most, in their order; with the last answer nothing is kept."""
    gathering = Gathering()
    waiting = [sign_request(n) for n in range(MOST + 1)]
    gathering.put(NAME, waiting)
    first = gathering.take(NAME)

    begun = [gathering.answered(NAME, 1) for _ in range(MOST)]

    assert waiting[:MOST] == first
    assert MOST - FEW == begun.index(True)
    assert 1 == begun.count(True)
    assert waiting[MOST:] == gathering.take(NAME)
    assert not gathering.answered(NAME, 1)
    assert gathering.put(NAME, waiting[:1])


def test_what_comes_while_a_key_is_busy_is_one_job(agent, line):
    """Each frame brought one request; the first ones keep the key busy."""
    begun, groups = threading.Semaphore(0), []

    def sign(requests, facts):
        groups.append([int.from_bytes(one.id, "big") for one in requests])
        begun.release()
        yield [agent.answer(one, facts) for one in requests]

    agent.sign = sign
    agent.gate.clear()
    for number in range(FEW):
        line.send(sign_request(number))
        begun.acquire(timeout=10)
    for number in range(FEW, ALL):
        line.send(sign_request(number))
    let_it_read(line)
    agent.gate.set()

    answered = sorted(int.from_bytes(line.receive(Signed).id, "big") for _ in range(ALL))

    assert list(range(ALL)) == answered
    assert [[number] for number in range(FEW)] + [list(range(FEW, ALL))] == groups


def test_a_job_that_fails_leaves_the_others_their_answers(agent, line):
    """Whatever happens to one, nobody who waits behind it is forgotten, and places are free."""

    def sign(requests, facts):
        if int.from_bytes(requests[0].id, "big") < FEW:
            raise ValueError("nobody expected it")
        yield [agent.answer(one, facts) for one in requests]

    agent.sign = sign
    for number in range(FEW):
        line.send(sign_request(number))
        let_it_read(line)
    line.send(sign_request(FEW))

    assert FEW == int.from_bytes(line.receive(Signed).id, "big")
    assert agent.workers.wait_idle(5)
    assert 0 == agent.workers.waiting()
