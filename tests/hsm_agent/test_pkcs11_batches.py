"""Many octets for one key of a token at once: each of them has one outcome, whatever happens."""

import os
import signal
import threading

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.store import NewKey, SignsMany, TokenFault, UnknownKey
from tests.hsm_agent.callers import ECDSA
from tests.hsm_agent.softhsm import make_softhsm

ALGORITHM = "ecdsa-sha256"


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory):
    return make_softhsm(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="module")
def store(softhsm):
    store = softhsm.open(timeout=4)
    store.generate(NewKey("issuing-1", "ec-p256"))
    yield store
    store.close()


def octets(count):
    return [f"octets {number}".encode() for number in range(count)]


def outcomes(store, data, label="issuing-1"):
    """Return the outcomes in the order of the octets; each place has exactly one."""
    found = [one for some in store.sign_many(label, ALGORITHM, data) for one in some]
    assert list(range(len(data))) == sorted(one.place for one in found)
    return sorted(found, key=lambda one: one.place)


def check(store, data, outcomes):
    """Raise unless every signature is the key's over the octets of its place."""
    [key] = store.keys()
    public = load_der_public_key(key.public_key)
    for one in outcomes:
        public.verify(one.signature, data[one.place], ECDSA)


def test_a_token_signs_many_at_once(store):
    """Every signature is that over the octets of its place, also of more than the window takes."""
    data = octets(100)

    assert isinstance(store, SignsMany)
    check(store, data, outcomes(store, data))


def test_batches_of_several_threads_do_not_wait_for_each_other_for_ever(store):
    """Each holds what it has of the window only as long as it is being answered."""
    counts = []

    def ask():
        counts.append(len(outcomes(store, octets(60))))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [60] * 4 == counts


def test_a_worker_that_dies_within_a_batch_costs_nothing(store):
    """What it had not answered goes to the next one."""
    data = octets(200)
    killed = []

    def found():
        for some in store.sign_many("issuing-1", ALGORITHM, data):
            if not killed:
                killed.append(store.process)
                os.kill(store.process, signal.SIGKILL)
            yield from some

    given = list(found())

    assert list(range(200)) == sorted(one.place for one in given)
    assert store.process not in killed
    check(store, data, given)


def test_a_stopped_worker_costs_one_of_a_batch(store):
    """The one that it had begun fails after its time; those behind it are signed."""
    stopped = store.process
    os.kill(stopped, signal.SIGSTOP)

    given = outcomes(store, octets(8))

    assert [TokenFault] == [type(one.fault) for one in given if one.fault is not None]
    assert 7 == sum(bool(one.signature) for one in given)


def test_a_key_that_is_not_there_fails_each(store):
    """Nothing is raised: every outcome says it."""
    given = outcomes(store, octets(3), "nobody")

    assert [UnknownKey] * 3 == [type(one.fault) for one in given]


def test_a_closed_store_fails_each(softhsm):
    """So does a store that is closed."""
    store = softhsm.open(timeout=4)
    store.keys()
    store.close()

    given = outcomes(store, octets(3))

    assert {TokenFault} == {type(one.fault) for one in given}
