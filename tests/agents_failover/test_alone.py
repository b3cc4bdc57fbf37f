"""One agent and no other: while it is away devices are told when to come again."""

import pytest
from cryptography import x509

from pikaserver.testing.patience import until
from tests.agents_failover.cluster import TEMPLATE, cluster, software_key
from tests.agents_failover.enrolling import Enrolling

AT_ONCE_SECONDS = 8
SILENT_SECONDS = 8


@pytest.fixture(scope="module")
def alone(postgres, tmp_path_factory):
    """Run a cluster with one agent."""
    database = postgres.url(postgres.create_database())
    with cluster(tmp_path_factory.mktemp("alone"), database) as made:
        made.add_agent("vault-a", key=software_key())
        made.code = made.make_authority()
        yield made


@pytest.fixture
def agent(alone):
    """Give the agent, which runs, and runs again afterwards."""
    (agent,) = alone.agents
    yield agent
    agent.kill()
    agent.start()
    agent.await_line(*alone.nodes)


@pytest.fixture
def devices(alone):
    return Enrolling(alone.nodes, alone.code, TEMPLATE)


def assert_come_again(answer, seconds):
    assert (503, None) == (answer.status, answer.certificate), answer.text
    assert 1 <= int(answer.retry_after) <= 60
    assert "vault-a" in answer.text
    assert answer.took < seconds


def test_a_killed_agent_is_told_of_at_once(alone, agent, devices):
    """503 and Retry-After, on both nodes; nothing is stored as issued."""
    assert 200 == devices.once().status
    at_once = devices.bound(AT_ONCE_SECONDS)
    agent.kill()

    answers = [devices.once(node) for node in (0, 1, 0, 1)]

    for answer in answers:
        assert_come_again(answer, at_once)
    states = alone.ask("SELECT state, count(*) FROM certificate GROUP BY state")
    assert "intent" not in dict(map(tuple, states))


def test_a_silent_agent_is_told_of_when_its_time_is_over(agent, devices):
    """The request that met it waits no longer than its silence is borne; the next ones at once."""
    assert 200 == devices.once().status
    silent, at_once = devices.bound(SILENT_SECONDS), devices.bound(AT_ONCE_SECONDS)
    agent.pause()

    first, second = devices.once(), devices.once()

    assert_come_again(first, silent)
    assert_come_again(second, at_once)


def test_who_comes_again_gets_the_certificate(alone, agent, devices):
    """As soon as the agent is back, without anybody doing anything."""
    agent.kill()
    assert 503 == devices.once().status

    agent.start()
    agent.await_line(*alone.nodes)

    assert [200, 200] == [devices.once(node).status for node in (0, 1)]


def test_states_and_lists_are_served_without_the_agent(alone, agent, devices):
    """Whoever verifies certificates needs no key of the authority."""
    answer = devices.once()
    serial = x509.load_der_x509_certificate(answer.certificate).serial_number
    agent.kill()

    for node in alone.nodes:
        assert x509.load_der_x509_crl(node.get("/crl/vault.crl")).next_update_utc
        assert b'"valid"' in node.get(f"/status/{serial:X}")
        until(lambda node=node: b"vault-a" in node.get("/readyz"), "what is missing")
