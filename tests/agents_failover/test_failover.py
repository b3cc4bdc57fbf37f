"""Agents that are killed, stopped, drained and retired under load: nobody notices."""

import json
import sys
import time
from collections import Counter

from pikaserver.testing.patience import until
from pikaserver.testing.signing_agents import ready_agents
from tests.agents_failover.accounts import signed_after_waking
from tests.agents_failover.pairs import FAILOVER_SECONDS, add_holder, now_ms, report

STOPPED_SECONDS = 10
RETIRED_SECONDS = 20
MORE = 60
ENOUGH = 8
"""So many certificates of a node that one of them would have met the agent."""
TURNS = 100


def end(devices, pair):
    """Let the devices end; each has got its certificate, and no two have the same."""
    devices.end()
    assert {200} == set(devices.statuses()), Counter(one.text for one in devices.answers)
    pair.check(devices)


def test_a_killed_agent_costs_nobody_a_request(pair, devices, record_property):
    """SIGKILL of the one that is asked: the socket closes, and the other one is asked."""
    killed, bound = time.monotonic(), devices.bound(FAILOVER_SECONDS)
    pair.first.kill()
    devices.await_more(MORE)
    gap, took = devices.longest_gap(killed)

    end(devices, pair)

    report(record_property, f"SIGKILL, {pair.kind}", gap, took)
    assert gap < bound
    assert 0 == devices.cuts


def test_a_stopped_agent_refuses_what_queued_up(pair, devices, record_property):
    """SIGSTOP for ten seconds: silence is noticed; the woken agent begins nothing old."""
    bound = devices.bound(FAILOVER_SECONDS)
    pair.first.pause()
    stopped, began = now_ms(), time.monotonic()
    devices.await_more(MORE)
    gap, took = devices.longest_gap(began)
    time.sleep(max(0, STOPPED_SECONDS - (time.monotonic() - began)))
    woke = now_ms()
    pair.first.go_on()
    pair.first.await_line(*pair.cluster.nodes)
    devices.await_more(MORE)

    end(devices, pair)

    report(record_property, f"SIGSTOP, {pair.kind}", gap, took)
    assert gap < bound
    begun, finished = signed_after_waking(pair.first, pair.second, stopped, woke)
    assert set() == begun
    record_property("keys at work when the agent was stopped", len(finished))
    codes = {
        line.get("code")
        for line in pair.first.journal()
        if line["event"] in {"refused", "failed"} and line["ts"] >= woke
    }
    assert {"expired"} >= codes


def test_a_killed_node_costs_its_lines_and_nothing_else(pair, devices):
    """Devices go to the other node, whose lines to the agents never broke."""
    pair.cluster.nodes[1].kill()
    devices.await_more(MORE)
    pair.cluster.nodes[1].start()
    for agent in (pair.first, pair.second):
        agent.await_line(*pair.cluster.nodes)
    devices.await_more(MORE)

    end(devices, pair)

    assert devices.cuts
    assert {0, 1} == {one.node for one in devices.answers}


def test_a_drained_agent_is_asked_for_nothing_and_nobody_waits(pair, devices):
    """The standby signs until the drain is over."""
    pair.cluster.first.command("agent", "drain", "vault-a")
    lines = settled(lambda: len(pair.first.journal()), devices)
    devices.await_more(MORE)
    assert lines == len(pair.first.journal())
    pair.cluster.first.command("agent", "drain", "vault-a", "--off")
    until(lambda: len(pair.first.journal()) > lines, "a signature of the first agent", 30)

    end(devices, pair)

    assert 0 == devices.cuts


def test_an_agent_that_is_told_to_stop_answers_what_it_took(pair, devices):
    """SIGTERM drains: no request has to be asked twice."""
    before = failovers(pair)
    assert 0 == pair.first.stop()
    devices.await_more(MORE)

    end(devices, pair)

    assert before == failovers(pair)


def test_a_retired_agent_is_cut_off_everywhere(pair, devices, record_property):
    """Within five seconds on all nodes, also on those where nobody typed anything."""
    retiring = add_holder(pair.cluster, "vault-a2", pair.key, pair.kind)
    pair.cluster.first.command("agent", "drain", "vault-a")
    until(lambda: asked(retiring), "a signature of the third agent", 30)

    bound = devices.bound(RETIRED_SECONDS)
    pair.cluster.first.command("agent", "retire", "vault-a2", "--yes")
    until(lambda: not any("vault-a2" in ready_agents(node) for node in pair.cluster.nodes), "it")
    ended = time.time()
    lines = settled(lambda: len(asked(retiring)), devices)
    devices.await_more(MORE)
    pair.cluster.first.command("agent", "drain", "vault-a", "--off")

    end(devices, pair)

    took = ended - retired_at(pair)
    record_property("seconds until a retired agent was cut off", round(took, 2))
    sys.stdout.write(f"a retired agent was cut off on both nodes after {took:.2f} s\n")
    assert took < bound
    assert lines == len(asked(retiring))
    assert "retired" in retiring.log()
    assert (
        "retired"
        == json.loads(pair.cluster.first.command("agent", "show", "vault-a2", "-o", "json"))[
            "state"
        ]
    )
    retiring.kill()


def settled(count, devices):
    """Return a number that does not grow any more while both nodes give certificates.

    What a node was told reaches the other one by the database, at which it looks once a second.
    """
    for _ in range(TURNS):
        before, answers = count(), len(devices.answers)
        devices.await_more(MORE // 2)
        given = Counter(one.node for one in devices.answers[answers:] if one.certificate)
        if min(given[0], given[1]) >= ENOUGH and count() == before:
            return before
    raise TimeoutError("it goes on")


def retired_at(pair):
    """Return when the audit trail has the last retirement, in seconds since 1970."""
    ((at,),) = pair.cluster.ask("SELECT max(at) FROM audit_record WHERE event = 'agent.retired'")
    return at / 1_000_000


def asked(agent):
    """Return what an agent's journal says that it was asked to sign."""
    return [line for line in agent.journal() if line["event"] == "sign"]


def failovers(pair):
    """Return how many requests went on to another agent, on all nodes."""
    name = "pikaserver_agent_failovers_total "
    return sum(
        float(line.removeprefix(name))
        for node in pair.cluster.nodes
        for line in node.get("/metrics").decode().splitlines()
        if line.startswith(name)
    )
