"""A worker that is killed or stopped, and one that is no longer needed."""

import os
import signal
import threading
import time

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.store import NewKey, TokenFault
from tests.hsm_agent.callers import Callers, is_gone, verify
from tests.hsm_agent.softhsm import make_softhsm

TBS = b"to be signed"
SHORT = 4
"""Seconds that a stopped worker is waited for, and more than any other one needs."""
SIGN = ("issuing-1", "ecdsa-sha256", TBS)


@pytest.fixture
def softhsm(tmp_path):
    return make_softhsm(tmp_path / "softhsm")


@pytest.fixture
def store(softhsm):
    store = softhsm.open(timeout=SHORT)
    store.generate(NewKey("issuing-1", "ec-p256"))
    yield store
    store.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_killed_under_load_costs_no_request(store, number):
    """Whoever waited gets a signature from the next worker; none of them is wrong."""
    callers = Callers(store, 8)
    for _ in range(4):
        callers.await_outcome("signed", 200)
        before = store.process
        os.kill(before, number)
        callers.await_outcome("signed", 200)
        assert is_gone(before)

    outcomes = callers.end()

    assert {"signed"} == set(outcomes)


def test_an_idle_worker_that_dies_is_replaced_when_needed(store):
    """Nothing is started for nobody."""
    first = store.process
    os.kill(first, signal.SIGKILL)

    verify(store, "issuing-1", store.sign(*SIGN))

    assert store.process not in (0, first)
    assert is_gone(first)


def test_a_stopped_worker_is_given_up_after_its_time(store):
    """The one that it had begun fails; everybody behind it is served by another worker."""
    store.sign(*SIGN)
    stopped = store.process
    os.kill(stopped, signal.SIGSTOP)
    begun = time.monotonic()
    outcomes = []

    def ask():
        try:
            verify(store, "issuing-1", store.sign(*SIGN))
            outcomes.append("signed")
        except TokenFault as fault:
            outcomes.append(str(fault))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 7 == outcomes.count("signed")
    assert 1 == outcomes.count("the PKCS#11 module did not answer within 4 seconds")
    assert time.monotonic() - begun < 7 * SHORT
    assert is_gone(stopped)


def test_a_closed_store_leaves_no_process_and_no_thread(softhsm):
    """Neither a zombie nor a worker; later calls say that it is closed."""
    before = set(threading.enumerate())
    store = softhsm.open()
    store.keys()
    worker = store.process

    store.close()
    store.close()

    assert is_gone(worker)
    assert set(threading.enumerate()) <= before
    with pytest.raises(TokenFault, match="is closed"):
        store.keys()
    assert "absent" == store.state().state


def test_a_store_that_was_never_used_starts_nothing(softhsm):
    """The worker comes with the first request."""
    store = softhsm.open()

    assert 0 == store.process

    store.close()


def test_a_signal_to_everybody_leaves_the_worker_alone(store):
    """Ctrl-C and service managers reach it too; the agent still has requests to finish."""
    store.sign(*SIGN)
    before = store.process
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(before, number)

    verify(store, "issuing-1", store.sign(*SIGN))

    assert before == store.process


def test_a_key_is_made_once_although_the_worker_died_meanwhile(store):
    """The request is repeated under its own CKA_ID: what the first try left is cleared away."""
    before = store.process
    killer = threading.Timer(0.2, os.kill, (before, signal.SIGKILL))
    killer.start()

    made = store.generate(NewKey("root", "rsa-4096"))

    killer.join()
    # Where the key was made sooner, the worker died just after.
    assert [made] == [key for key in store.keys() if key.details["label"] == "root"]
    assert before != store.process


def test_a_worker_that_stops_reading_is_given_up_as_well(store):
    """A message that does not fit the line's buffer waits for the reader, but not for ever."""
    key = store.generate(NewKey("notary", "ed25519"))
    large = bytes(3_000_000)
    store.sign("notary", "ed25519", b"a key that is found already")
    stopped = store.process
    os.kill(stopped, signal.SIGSTOP)

    with pytest.raises(TokenFault, match="did not answer within 4 seconds"):
        store.sign("notary", "ed25519", large)

    assert is_gone(stopped)
    signature = store.sign("notary", "ed25519", large)
    load_der_public_key(key.public_key).verify(signature, large)


def test_a_large_message_waits_for_a_long_deed_and_nobody_is_killed(store):
    """The worker does not read while the token makes a key; the state is told all the same."""
    store.generate(NewKey("notary", "ed25519"))
    store.state()
    before = store.process
    making = threading.Thread(target=store.generate, args=[NewKey("root", "rsa-4096")])
    making.start()

    signature = store.sign("notary", "ed25519", bytes(3_000_000))

    assert 64 == len(signature)
    making.join()
    assert before == store.process
