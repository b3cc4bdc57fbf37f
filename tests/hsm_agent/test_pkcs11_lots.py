"""Answers of a worker go together; which request it has begun is known all the same."""

import os
import signal
import threading

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.pkcs11.begun import Begun
from hsm_agent.stores.pkcs11.lots import LONGEST_SECONDS, MOST, Lot
from hsm_agent.stores.store import NewKey, TokenFault
from pikaserver.testing.patience import until
from tests.hsm_agent.bad_module import Misdeeds, compiled, settings
from tests.hsm_agent.callers import ECDSA
from tests.hsm_agent.softhsm import make_softhsm

ALGORITHM = "ecdsa-sha256"
SIGN = {"do": "sign"}
DATA = [f"octets {number}".encode() for number in range(MOST)]
POISON = 4
"""Which of them the module does not stand."""


@pytest.fixture
def softhsm(tmp_path):
    return make_softhsm(tmp_path / "softhsm")


@pytest.fixture
def misdeeds(tmp_path):
    return Misdeeds(tmp_path / "misdeeds")


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("module"))


@pytest.fixture
def store(softhsm, module, misdeeds):
    store = softhsm.open(**settings(softhsm, module, misdeeds), timeout=3)
    store.generate(NewKey("issuing-1", "ec-p256"))
    yield store
    for deed in misdeeds.folder.iterdir():
        deed.unlink()
    store.close()


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves: a list with the time in it."""
    now = [0.0]
    monkeypatch.setattr("hsm_agent.stores.pkcs11.lots.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def sent():
    return []


@pytest.fixture
def lot(sent, clock):
    assert [0.0] == clock
    return Lot(sent.append)


def outcomes(store):
    found = [one for some in store.sign_many("issuing-1", ALGORITHM, DATA) for one in some]
    assert list(range(len(DATA))) == sorted(one.place for one in found)
    return sorted(found, key=lambda one: one.place)


def answer(lot, request, octets, *, more=True):
    lot.begin(request)
    lot.add(request, octets, more=more)


def test_signatures_wait_for_each_other(lot, sent):
    """A lot is full, or its last request is done: then all of it goes at once."""
    for _ in range(MOST):
        answer(lot, SIGN, b"a")
    answer(lot, SIGN, b"b")
    answer(lot, SIGN, b"c", more=False)

    assert [b"a" * MOST, b"bc"] == sent


def test_slow_signatures_do_not_wait(lot, sent, clock):
    """Whoever waits for the first one gains nothing by the second."""
    lot.begin(SIGN)
    clock[0] += LONGEST_SECONDS

    lot.add(SIGN, b"a", more=True)

    assert [b"a"] == sent


@pytest.mark.parametrize("other", [{"do": "generate"}, {"do": "look"}, {"do": "sign", "pin": "1"}])
def test_nothing_waits_for_what_is_no_plain_signature(lot, sent, other):
    """Before it begins, what is done is given; and that it is done is told at once."""
    answer(lot, SIGN, b"a")

    lot.begin(other)
    assert [b"a"] == sent

    lot.add(other, b"b", more=True)
    assert [b"a", b"b"] == sent


def test_the_number_of_what_is_begun_is_seen_by_others():
    """It is memory that two processes share."""
    descriptor = Begun.new()
    ours, theirs = Begun(descriptor), Begun(descriptor)
    os.close(descriptor)
    assert 0 == ours.number()

    theirs.note(1 << 40)

    assert 1 << 40 == ours.number()
    ours.close()
    theirs.close()


def test_a_module_cannot_cut_the_number_away():
    """Whoever read it then would be killed, and that is the agent itself."""
    descriptor = Begun.new()
    number = Begun(descriptor)
    number.note(7)

    for size in (0, 1, 1 << 20):
        with pytest.raises(PermissionError):
            os.truncate(descriptor, size)

    assert 7 == number.number()
    number.close()
    os.close(descriptor)


def test_what_crashes_the_module_within_a_lot_harms_no_other(store, misdeeds):
    """Those before it were signed and their answers lost; they and those behind it are signed."""
    misdeeds.crash_with(DATA[POISON])

    found = outcomes(store)

    failed = [one for one in found if one.fault is not None]
    assert [POISON] == [one.place for one in failed]
    assert isinstance(failed[0].fault, TokenFault)
    assert "with this request" in str(failed[0].fault)
    misdeeds.end("poison")
    [key] = store.keys()
    public = load_der_public_key(key.public_key)
    for one in found:
        if one.fault is None:
            public.verify(one.signature, DATA[one.place], ECDSA)


def test_what_hangs_within_a_lot_is_given_up_alone(store, misdeeds):
    """The one in which the module hangs fails after its time; the others are signed."""
    misdeeds.begin("sign-hangs")
    found = []
    caller = threading.Thread(target=lambda: found.extend(outcomes(store)))
    caller.start()
    misdeeds.await_hanging()
    misdeeds.end("sign-hangs")

    caller.join()

    failed = [one for one in found if one.fault is not None]
    assert 1 == len(failed)
    assert "did not answer within 3 seconds" in str(failed[0].fault)


def test_a_worker_that_dies_with_answers_in_hand_costs_none(store):
    """Killed at any moment: what it signed and did not give is signed again."""
    found = []
    caller = threading.Thread(target=lambda: [found.extend(outcomes(store)) for _ in range(40)])
    caller.start()
    for _ in range(3):
        os.kill(until(lambda: store.process, "a worker"), signal.SIGKILL)
        seen = len(found)
        until(lambda seen=seen: len(found) > seen + MOST or not caller.is_alive(), "answers")
    caller.join()

    assert 40 * MOST == len(found)
    assert {None} == {one.fault for one in found}
