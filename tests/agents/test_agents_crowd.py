"""Whether requests on a line wait for each other, and for how many."""

import threading

import pytest

from hsm_agent.wire.messages import Ping
from pikaserver.testing.patience import SECONDS
from pikaserver_agents.crowd import CROWD, MEMORY_SECONDS, Crowd
from pikaserver_agents.outbox import ENOUGH, Outbox


@pytest.fixture
def asked():
    return {}


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def crowd(asked, now):
    return Crowd(asked, lambda: now[0])


def test_few_requests_are_no_crowd(crowd, asked):
    """Each of them goes at once."""
    asked.update(dict.fromkeys(range(CROWD - 1)))

    assert not crowd()


def test_many_requests_are_one(crowd, asked):
    """What comes now waits for what comes with it."""
    asked.update(dict.fromkeys(range(CROWD)))

    assert crowd()


def test_a_crowd_is_remembered_for_a_moment(crowd, asked, now):
    """All were answered at once: those who come again come together."""
    asked.update(dict.fromkeys(range(CROWD)))
    assert crowd()
    asked.clear()

    now[0] += MEMORY_SECONDS / 2
    assert crowd()

    now[0] += MEMORY_SECONDS
    assert not crowd()


def test_as_many_as_are_worth_a_frame_wait_no_longer(monkeypatch):
    """The first one waits for a moment; the last one of them ends that."""
    monkeypatch.setattr("pikaserver_agents.outbox.LINGER_SECONDS", 2 * SECONDS)
    waits, batches = threading.Event(), []

    def crowded():
        waits.set()
        return True

    outbox = Outbox(crowded)
    writer = threading.Thread(target=lambda: batches.append(outbox.next_batch()))
    writer.start()
    outbox.put(Ping())
    assert waits.wait(SECONDS)

    for _ in range(ENOUGH - 1):
        outbox.put(Ping())
    writer.join(SECONDS)

    assert [ENOUGH] == [len(batch) for batch in batches]
