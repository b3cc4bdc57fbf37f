"""Requests that wait: shared, in a full queue, past their deadline, at an agent that leaves."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pikaserver.api.errors import (
    KeyUnavailable,
)
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import verify
from pikaserver.testing.fake_agent_lies import silent
from pikaserver.testing.patience import SECONDS, until

ISSUING = "soft/issuing"


def test_equals_share_the_work(make, certificate_tbs):
    """The one with the least in flight is next; CRLs stay with one agent all the same."""
    site = make(several="shared")
    first, second = site.pair()
    gate = threading.Event()

    first.tamper = lambda _, answer: gate.wait(SECONDS) and answer
    crl = der.sequence(
        der.integer(1), der.sequence(), der.sequence(), der.time(site.server.clock())
    )
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(site.signer().sign, certificate_tbs)
        until(lambda: first.asked_to_sign)
        for _ in range(3):
            site.signer().sign(certificate_tbs)
        gate.set()
        held.result()
    assert (1, 3) == (len(first.asked_to_sign), len(second.asked_to_sign))

    for _ in range(3):
        site.signer().sign(crl)

    assert (4, 3) == (len(first.asked_to_sign), len(second.asked_to_sign))


def test_many_at_once_share_frames(site, certificate_tbs):
    """16 threads wait on nothing but their own answers."""
    agent = site.agent("vault-a", "issuing")
    signer, key = site.signer(), agent.desk.keys[ISSUING].public_key

    def work(_):
        for _ in range(20):
            verify(key, "ecdsa-sha256", signer.sign(certificate_tbs), certificate_tbs)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert 320 == len(agent.asked_to_sign)
    assert 320 == len(site.history())
    assert 0 == site.office.lines.present()["vault-a"].in_flight


def test_nobody_waits_for_another_key(site, certificate_tbs):
    """A slow token holds up its own requests alone."""
    slow, quick = site.agent("vault-a", "slow"), site.agent("vault-b", "quick")
    slow.tamper = silent
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.signer("agent:vault-a/slow").sign, certificate_tbs)
        until(lambda: slow.asked_to_sign)

        site.signer("agent:vault-b/quick").sign(certificate_tbs)

        assert not held.done()
        slow.die()
        with pytest.raises(KeyUnavailable, match="went away"):
            held.result()
    assert 1 == len(quick.asked_to_sign)


def test_a_full_queue_answers_at_once(make, certificate_tbs):
    """More would only wait for longer than anybody waits: 503 with Retry-After."""
    site = make(queue=1, deadline=60)
    agent = site.agent(connect=False)
    agent.window = 2
    agent.desk.make_key("issuing")
    site.connect(agent)
    agent.tamper = silent
    signer = site.signer()
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(signer.sign, certificate_tbs) for _ in range(3)]
        until(lambda: 2 == len(agent.asked_to_sign))
        until(lambda: 1 == sum(site.office.lines.waiting().values()))

        with pytest.raises(KeyUnavailable, match="too many requests wait") as full:
            signer.sign(certificate_tbs)

        assert 0 < full.value.retry_after < 30
        agent.die()
        for one in held:
            with pytest.raises(KeyUnavailable):
                one.result()


def test_a_place_that_gets_free_is_taken(make, certificate_tbs):
    """Whoever waits in the queue goes on when another one is done."""
    site = make(queue=8)
    agent = site.agent(connect=False)
    agent.window = 1
    agent.desk.make_key("issuing")
    site.connect(agent)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(site.signer().sign, [certificate_tbs] * 8))

    assert 8 == len(done)
    assert {} == site.office.lines.waiting()


def test_a_deadline_is_kept(make, certificate_tbs):
    """The agent is alive and does not answer: the caller is told in time."""
    site = make(deadline=1)
    agent = site.agent("vault-a", "issuing")
    agent.tamper = silent

    began = time.monotonic()
    with pytest.raises(KeyUnavailable, match="did not answer within 1 s"):
        site.signer().sign(certificate_tbs)

    assert 0.9 < time.monotonic() - began < 10
    assert [("vault-a", "certificate", "late")] == site.history()


def test_late_answers_are_ignored(make, certificate_tbs):
    """They belong to nobody any more, and end nothing."""
    site = make(deadline=1)
    agent = site.agent("vault-a", "issuing")
    held = []
    agent.tamper = lambda _, answer: held.append(answer)
    with pytest.raises(KeyUnavailable):
        site.signer().sign(certificate_tbs)
    agent.tamper = lambda _, answer: answer
    agent.tell(*held)

    site.signer().sign(certificate_tbs)

    assert 0 == sum(site.office.complaints.counts().values())


def test_requests_expire_at_the_agent(site, certificate_tbs):
    """What lay in a buffer too long is not signed any more."""
    agent = site.agent("vault-a", "issuing")

    site.signer().sign(certificate_tbs)

    (request,) = agent.asked_to_sign
    assert 0 < request.expires - agent.now_ms() <= 30_000


def test_a_drained_agent_is_asked_for_nothing(site, certificate_tbs):
    """Its line stays; another one signs, or the caller is told."""
    first, second = site.pair()
    site.office.deeds.drain("vault-a", "cli:tester", off=False)
    site.open_door()

    site.signer().sign(certificate_tbs)
    assert (0, 1) == (len(first.asked_to_sign), len(second.asked_to_sign))

    second.die()
    until(lambda: "vault-b" not in site.office.lines.present())
    with pytest.raises(KeyUnavailable, match="vault-a is drained; 'pikaserver agent drain vault-a"):
        site.signer()
    site.office.deeds.drain("vault-a", "cli:tester", off=True)
    site.open_door()
    site.signer().sign(certificate_tbs)
    assert 1 == len(first.asked_to_sign)


def test_an_agent_that_is_about_to_stop_is_asked_for_nothing(site, certificate_tbs):
    """It said so itself; what runs still ends."""
    first, second = site.pair()
    first.drain()
    until(lambda: site.office.lines.present()["vault-a"].draining)

    site.signer().sign(certificate_tbs)

    assert (0, 1) == (len(first.asked_to_sign), len(second.asked_to_sign))
