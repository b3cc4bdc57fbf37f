"""A node that no agent can reach: the database and the other node carry its requests."""

import statistics
import sys
import time

import pytest

from tests.agents_failover.accounts import check_accounts
from tests.agents_failover.cluster import TEMPLATE, cluster, software_key
from tests.agents_failover.enrolling import Enrolling
from tests.agents_failover.pairs import FAILOVER_SECONDS, report

LINED, LONELY = 0, 1
NOBODY_SECONDS = 8
MORE = 40


@pytest.fixture(scope="module")
def relayed(postgres, tmp_path_factory):
    """Run two nodes and two agents that dial the second node in vain."""
    database = postgres.url(postgres.create_database())
    with cluster(tmp_path_factory.mktemp("relay"), database, unreachable=[2]) as made:
        key = software_key()
        for name in ("vault-a", "vault-b"):
            made.add_agent(name, key=key, lines_to=[LINED])
        made.code = made.make_authority()
        yield made


@pytest.fixture
def devices(relayed):
    """Enrol at both nodes all the time."""
    for agent in relayed.agents:
        if agent.process is None:
            agent.start()
        agent.await_line(relayed.nodes[LINED])
    running = Enrolling(relayed.nodes, relayed.code, TEMPLATE)
    running.start(6)
    yield running
    running.end()


def test_a_node_without_a_line_signs_by_way_of_the_other_one(relayed, devices, record_property):
    """The frames are its own, so the agent knows who asks; nobody on the way can alter them."""
    devices.await_more(MORE)
    devices.end()

    assert {200} == set(devices.statuses())
    assert {LINED, LONELY} == {one.node for one in devices.answers}
    check_accounts(relayed, devices)
    asked = [line for line in relayed.agents[0].journal() if line["event"] == "sign"]
    assert {(1, "line"), (2, "relay")} <= {(line["node"], line["way"]) for line in asked}
    usual = {
        node: statistics.median(one.took for one in devices.answers if one.node == node)
        for node in (LINED, LONELY)
    }
    sys.stdout.write(f"median: by line {usual[LINED]:.3f} s, relayed {usual[LONELY]:.3f} s\n")
    record_property("relayed median seconds", round(usual[LONELY], 3))


def test_a_killed_agent_costs_no_relayed_request_either(relayed, devices, record_property):
    """The line that broke is told by way of the database, too."""
    devices.await_more(MORE // 2)
    killed, bound = time.monotonic(), devices.bound(FAILOVER_SECONDS)
    relayed.agents[0].kill()
    devices.await_more(MORE)
    gap, took = devices.longest_gap(killed)
    devices.end()

    report(record_property, "SIGKILL, relayed", gap, took)
    assert {200} == set(devices.statuses()), [one.text for one in devices.answers][-1]
    assert gap < bound
    check_accounts(relayed, devices)


def test_without_any_line_anywhere_the_caller_is_told(relayed):
    """Both agents are gone: 503 and Retry-After at the node that only relays."""
    alone = Enrolling(relayed.nodes, relayed.code, TEMPLATE)
    assert 200 == alone.once(LONELY).status
    bound = alone.bound(NOBODY_SECONDS)
    for agent in relayed.agents:
        agent.kill()

    answers = [alone.once(LONELY) for _ in range(2)]

    for answer in answers:
        assert 503 == answer.status
        assert int(answer.retry_after) > 0
        assert answer.took < bound
