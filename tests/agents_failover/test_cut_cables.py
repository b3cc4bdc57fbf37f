"""The cable of the agent that is asked is cut: nothing is closed, and nothing arrives any more."""

import time

import pytest

from tests.agents_failover.cables import proxied, wire
from tests.agents_failover.cluster import TEMPLATE, cluster, software_key
from tests.agents_failover.enrolling import enrolling
from tests.agents_failover.pairs import FAILOVER_SECONDS, Pair, report

MORE = 60
CUT_SECONDS = 6


@pytest.fixture
def folder(tmp_path_factory):
    """Give a short path: there is a Unix socket below it."""
    return tmp_path_factory.mktemp("cut")


@pytest.fixture
def database(postgres):
    return postgres.url(postgres.create_database())


def cut_under_load(pair, cables, what, record_property):
    """Cut, wait for the other agent, mend, and wait until the first one is asked again."""
    with enrolling(pair.cluster, pair.code, TEMPLATE) as devices:
        devices.await_more(20)
        began, bound = time.monotonic(), devices.bound(FAILOVER_SECONDS)
        for cable in cables:
            cable.cut()
        devices.await_more(MORE)
        gap, took = devices.longest_gap(began)
        time.sleep(max(0, CUT_SECONDS - (time.monotonic() - began)))
        for cable in cables:
            cable.mend()
        pair.first.await_line(*pair.cluster.nodes)
        devices.await_more(MORE)
        devices.end()

    report(record_property, what, gap, took)
    assert {200} == set(devices.statuses())
    assert 0 == devices.cuts
    pair.check(devices)
    assert gap < bound


def test_a_cable_that_swallows_everything(folder, database, record_property):
    """A proxy takes every octet and forwards none, as a firewall that has lost its mind."""
    with cluster(folder, database) as made:
        key = software_key()
        first = made.add_agent("vault-a", key=key)
        first.stop()
        with proxied(first) as proxies:
            first.start()
            first.await_line(*made.nodes)
            second = made.add_agent("vault-b", key=key)
            pair = Pair(made, first, second, key, made.make_authority(), "software")

            cut_under_load(pair, proxies, "cable cut, proxy", record_property)


def test_a_cable_between_network_namespaces(folder, database, record_property):
    """The agent's interface goes down; both ends wait for the other one's words."""
    with wire() as cable, cluster(folder, database, host=cable.here) as made:
        key = software_key()
        first = made.add_agent("vault-a", key=key, wrapper=cable.enter)
        second = made.add_agent("vault-b", key=key)
        pair = Pair(made, first, second, key, made.make_authority(), "software")

        cut_under_load(pair, [cable], "cable cut, network namespace", record_property)
