"""Agents that die, hang and lie: no request is lost while another one has the key."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm_agent.wire.messages import Sign
from pikaserver.api.errors import KeyUnavailable, SignatureFaulty
from pikaserver.api.operations import Alarm
from pikaserver.asn1.algorithms import verify
from pikaserver.testing.fake_agent_lies import flipped, misdirected, silent
from pikaserver.testing.patience import until

ALIVE_SECONDS = 15
"""Half the time that a request has: nobody waited for the agent that is gone."""


def key_of(agent):
    return agent.desk.keys["soft/issuing"].public_key


def test_an_agent_that_dies_with_a_request_loses_nothing(site, certificate_tbs):
    """A closed socket counts at once: the same octets go to the next agent."""
    first, second = site.pair()
    first.tamper = lambda *_: first.die_soon()

    began = time.monotonic()
    signature = site.signer().sign(certificate_tbs)

    assert time.monotonic() - began < ALIVE_SECONDS
    verify(key_of(second), "ecdsa-sha256", signature, certificate_tbs)
    assert first.asked_to_sign[0].tbs == second.asked_to_sign[0].tbs
    assert [("vault-a", "certificate", "lost"), ("vault-b", "certificate", "signed")] == (
        site.history()
    )
    assert 1 == site.office.figures.read().failovers


def test_an_agent_that_hangs_is_noticed(make, certificate_tbs):
    """Heartbeats of 0.5 s, dead after 1.5 s: as SIGSTOP would have it."""
    site = make(dead=3000)
    first, second = site.pair()
    first.stall()

    began = time.monotonic()
    site.signer().sign(certificate_tbs)
    took = time.monotonic() - began

    first.go_on()
    assert took < ALIVE_SECONDS
    assert 1 == len(second.asked_to_sign)


def test_a_hanging_agents_line_is_cut(make):
    """A half-open connection is found by its silence, without anybody asking."""
    site = make(heartbeat=100, dead=1500)
    agent = site.agent("vault-a", "issuing")

    agent.stall()

    until(lambda: not site.office.lines.present(), "the end of the line")
    agent.go_on()


def test_without_another_agent_the_caller_is_told_at_once(site, certificate_tbs):
    """Nobody waits for an agent that is gone: 503, and ask again."""
    agent = site.agent("vault-a", "issuing")
    agent.tamper = lambda *_: agent.die_soon()
    signer = site.signer()

    began = time.monotonic()
    with pytest.raises(KeyUnavailable, match="vault-a went away: closed by the agent"):
        signer.sign(certificate_tbs)

    assert time.monotonic() - began < ALIVE_SECONDS


def test_nothing_is_lost_while_agents_come_and_go(make, certificate_tbs):
    """Under load, one of two agents is killed again and again."""
    site = make(several="shared")
    first, second = site.pair()
    signer, stop = site.signer(), threading.Event()

    def work(_):
        count = 0
        while not stop.is_set():
            signature = signer.sign(certificate_tbs)
            verify(key_of(first), "ecdsa-sha256", signature, certificate_tbs)
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work, number) for number in range(4)]
        for victim in (first, second, first):
            until(lambda victim=victim: len(victim.asked_to_sign) > 20, "some load")
            victim.die()
            victim.asked.clear()
            site.connect(victim)
        stop.set()
        total = sum(one.result() for one in done)

    outcomes = [outcome for _, _, outcome in site.history()]
    assert total == outcomes.count("signed")
    assert {"signed", "lost"} >= {*outcomes}


def test_a_wrong_signature_is_never_used_and_alarms(site, certificate_tbs):
    """One bit is enough; the next agent signs."""
    first, second = site.pair()
    first.tamper = flipped

    signature = site.signer().sign(certificate_tbs)

    verify(key_of(second), "ecdsa-sha256", signature, certificate_tbs)
    (alarm,) = [event for event in site.server.events if isinstance(event, Alarm)]
    assert ("agents.signature-faulty", "vault-a") == (alarm.name, alarm.fields["agent"])
    assert "agent.signature-faulty" in [event for event, _, _ in site.server.audit.lines]
    assert ("vault-a", "certificate", "faulty") in site.history()


def test_a_wrong_signature_and_no_other_agent_is_a_fault(site, certificate_tbs):
    """It is not taken for the key being away."""
    site.agent("vault-a", "issuing").tamper = flipped

    with pytest.raises(SignatureFaulty):
        site.signer().sign(certificate_tbs)


def test_a_signature_by_another_key_is_never_used(site, certificate_tbs):
    """An agent that mixes up its keys is found out."""
    agent = site.agent("vault-a", "issuing", "other")
    other = agent.desk.keys["soft/other"]
    agent.desk.keys["soft/issuing"].private = other.private
    signer = site.signer()
    agent.tamper = lambda request, answer: (
        agent.desk.sign_with(other, request) if isinstance(request, Sign) else answer
    )

    with pytest.raises(SignatureFaulty):
        signer.sign(certificate_tbs)


def test_an_answer_to_another_request_ends_the_line(site, certificate_tbs):
    """It carries the hash of what it answers; nobody can swap two answers."""
    first, second = site.pair()
    first.tamper = misdirected

    signature = site.signer().sign(certificate_tbs)

    verify(key_of(second), "ecdsa-sha256", signature, certificate_tbs)
    until(lambda: site.office.complaints.counts()["answer"], "a complaint")
    assert ("vault-a", "certificate", "lost") in site.history()


def test_an_agent_that_comes_again_takes_its_place(site, certificate_tbs):
    """It noticed before the server did; what was asked on the old line is asked anew."""
    first, second = site.pair()
    first.tamper = silent
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.signer().sign, certificate_tbs)
        until(lambda: first.asked_to_sign)
        before = site.office.lines.present()["vault-a"]
        first.tamper = lambda _, answer: answer

        first.connect()

        verify(key_of(second), "ecdsa-sha256", held.result(), certificate_tbs)
    assert site.office.lines.present()["vault-a"] is not before
    assert before.closed


def test_a_server_that_stops_says_goodbye(make):
    """Agents dial again by themselves; nothing hangs."""
    site = make()
    agent = site.agent("vault-a", "issuing")

    site.office.listener.stop()

    until(lambda: agent.ended)
    assert "stopping: the server stops" in agent.ended[0]
    with site.server.database.reading() as connection:
        links = connection.exec_driver_sql("SELECT count(*) FROM agents_link").scalar()
    assert 0 == links
    site.office.listener.start()


def test_a_fault_in_the_work_beside_requests_ends_the_line(site, monkeypatch):
    """Without it the agent would have a line on which nobody ever asks for anything."""

    def broken(*_):
        raise KeyError("a fault of ours")

    monkeypatch.setattr(site.office.inventories, "take", broken)
    agent = site.agent("vault-a", "issuing", connect=False)

    agent.connect()

    until(lambda: agent.ended, "the end of the line")
    assert site.office.lines.get("vault-a") is None
