"""Requests for a busy key wait, and then go on together."""

import threading
from dataclasses import replace

import pytest

from hsm_agent.channel.gathering import ENOUGH, LARGE, MOST, Gathering, Kind
from hsm_agent.wire.messages import Ping, Pong, Signed
from pikaserver.testing.patience import SECONDS
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer

KIND = Kind(bytes(32), "ed25519", large=False)
OTHER = Kind(bytes(32), "ml-dsa-65", large=False)
SLOW = 1
"""The request whose decision waits for the test."""


class Deciding:
    """A service that takes its time for the first answers; ``jobs`` are the numbers it got."""

    def __init__(self, side):
        self.side = side
        self.jobs = []
        self.began = threading.Semaphore(0)
        self.gate = threading.Event()

    def sign(self, requests, facts):
        numbers = [int.from_bytes(one.id, "big") for one in requests]
        self.jobs.append(numbers)
        self.began.release()
        if SLOW in numbers:
            self.gate.wait(SECONDS)
        yield []
        yield [self.side.answer(one, facts) for one in requests]


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent", threads=4)
    side.sign = side.desk.sign

    def sign(requests, facts):
        return side.sign(requests, facts)

    side.desk = replace(side.desk, sign=sign)
    yield side
    side.close()


@pytest.fixture
def deciding(agent):
    made = Deciding(agent)
    agent.sign = made.sign
    yield made
    made.gate.set()


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


def answered(line, count):
    return sorted(int.from_bytes(line.receive(Signed).id, "big") for _ in range(count))


def test_one_job_is_decided_at_a_time():
    """What comes meanwhile is the next one; another key or algorithm has jobs of its own."""
    gathering = Gathering()
    assert gathering.put(KIND, [sign_request(1)])
    assert not gathering.put(KIND, [sign_request(2)])
    assert gathering.put(OTHER, [sign_request(9)])
    assert 2 == len(gathering.take(KIND))
    assert not gathering.put(KIND, [sign_request(3)])

    assert gathering.decided(KIND)

    assert [sign_request(3).id] == [one.id for one in gathering.take(KIND)]


def test_a_job_is_a_lot_and_the_next_one_begins_when_few_are_left():
    """In their order, so many at most; with the last answer nothing is kept."""
    gathering = Gathering()
    waiting = [sign_request(number) for number in range(3 * MOST)]
    gathering.put(KIND, waiting)
    assert waiting[:MOST] == gathering.take(KIND)
    assert gathering.decided(KIND)
    assert waiting[MOST : 2 * MOST] == gathering.take(KIND)
    assert not gathering.decided(KIND)

    begun = [gathering.answered(KIND, 1) for _ in range(MOST)]

    assert 2 * MOST - ENOUGH == begun.index(True)
    assert 1 == begun.count(True)
    assert waiting[2 * MOST :] == gathering.take(KIND)
    assert not gathering.decided(KIND)
    assert not gathering.answered(KIND, 2 * MOST)
    assert gathering.put(KIND, waiting[:1])


def test_large_structures_are_of_a_kind_of_their_own():
    """A CRL takes long to read; certificates of its key do not wait for that."""
    certificate = sign_request(1)
    crl = replace(certificate, tbs=bytes(LARGE + 1))

    assert Kind(certificate.key, "ed25519", large=False) == Kind.of(certificate)
    assert Kind(certificate.key, "ed25519", large=True) == Kind.of(crl)


def test_what_comes_while_a_job_is_decided_is_the_next_one(line, deciding):
    """Each frame brought one request."""
    for number in range(SLOW, SLOW + 4):
        line.send(sign_request(number))
        if number == SLOW:
            assert deciding.began.acquire(timeout=SECONDS)
    let_it_read(line)
    deciding.gate.set()

    assert [1, 2, 3, 4] == answered(line, 4)
    assert [[1], [2, 3, 4]] == deciding.jobs


def test_what_is_decided_holds_up_no_decision(agent, line, deciding):
    """While the key is used, the next ones are decided."""
    agent.gate.clear()
    deciding.gate.set()
    for number in range(2, 5):
        line.send(sign_request(number))
        assert deciding.began.acquire(timeout=SECONDS)

    agent.gate.set()

    assert [2, 3, 4] == answered(line, 3)
    assert [[2], [3], [4]] == deciding.jobs


def test_a_large_structure_holds_up_nothing_else(line, deciding):
    """It is still being read when the others are answered."""
    line.send(replace(sign_request(SLOW), tbs=bytes(LARGE + 1)))
    assert deciding.began.acquire(timeout=SECONDS)

    line.send(sign_request(2))

    assert [2] == answered(line, 1)
    deciding.gate.set()
    assert [SLOW] == answered(line, 1)


def test_a_job_that_fails_leaves_the_others_their_answers(agent, line):
    """Whatever happens to one, nobody who waits behind it is forgotten, and places are free."""

    def sign(requests, facts):
        if int.from_bytes(requests[0].id, "big") < ENOUGH:
            raise ValueError("nobody expected it")
        yield [agent.answer(one, facts) for one in requests]

    agent.sign = sign
    for number in range(ENOUGH):
        line.send(sign_request(number))
        let_it_read(line)
    line.send(sign_request(ENOUGH))

    assert [ENOUGH] == answered(line, 1)
    assert agent.workers.wait_idle(SECONDS)
    assert 0 == agent.workers.waiting()
