"""Keys and stores that fail: each has its answer and its outcome line."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hsm_agent.service.line_facts import LineFacts
from hsm_agent.stores.store import PinLocked, PinNeeded, TokenAbsent, TokenFault, TouchTimeout
from hsm_agent.wire.messages import Signed
from pikaserver.testing.damage import altered
from tests.hsm_agent.service_side import refused, service_side
from tests.hsm_agent.structures_to_sign import ANY_KEY, leaf_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


@pytest.fixture
def key(side):
    return side.authority()


def test_a_key_that_is_not_here_is_unknown(side):
    """Another agent may have it."""
    refused(side, side.sign(bytes(32), leaf_tbs(side.clock())), "unknown-key")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("absent", "token-absent"),
        ("pin-needed", "pin-needed"),
        ("pin-locked", "pin-locked"),
        ("strange", "token-error"),
    ],
)
def test_a_key_that_is_not_ready_is_not_asked(side, key, state, code):
    """What the store said last is enough to say no."""
    side.store.state_of_keys = state
    side.keyring.refresh()

    refused(side, side.sign(key, leaf_tbs(side.clock())), code)
    assert [] == side.store.signed


@pytest.mark.parametrize("late", ["clock", "lease"])
def test_an_agent_that_was_stopped_after_its_line_uses_no_key(side, key, late):
    """It wakes with everything decided, and looks again; the outcome says what happened."""
    alive = [True]
    line = LineFacts(1, "line", lambda: alive[0])

    def stop(_mark, found):
        if found["event"] == "sign":
            alive[0] = late == "clock"
            side.clock.now += 120_000 if late == "clock" else 0

    side.journal.watch(stop)
    answer = side.sign(key, leaf_tbs(side.clock()), line=line)

    refused(side, answer, "expired")
    assert [] == side.store.signed
    sign, failed = side.lines("sign", "failed")
    assert (sign["i"], "expired") == (failed["of"], failed["code"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TokenAbsent("pulled"), "token-absent"),
        (TokenFault("driver"), "token-error"),
        (PinNeeded("no PIN"), "pin-needed"),
        (PinLocked("locked"), "pin-locked"),
        (TouchTimeout("nobody"), "touch-timeout"),
    ],
)
def test_what_a_store_says_is_what_the_server_hears(side, key, error, code):
    """Each error has its code; the line of the attempt has its outcome."""

    def fail():
        raise error

    side.store.before = fail
    assert str(error) in refused(side, side.sign(key, leaf_tbs(side.clock())), code)

    sign, failed = side.lines("sign", "failed")
    assert (sign["i"], code) == (failed["of"], failed["code"])


def test_a_bug_is_an_answer_and_not_the_end(side, key, caplog):
    """Whatever a store raises: refused, logged, and the next request is answered."""

    def fail():
        raise ZeroDivisionError("secret inner words")

    side.store.before = fail
    why = refused(side, side.sign(key, leaf_tbs(side.clock())), "token-error")
    side.store.before = lambda: None

    assert "secret" not in why
    assert "ZeroDivisionError" in caplog.text
    assert isinstance(side.sign(key, leaf_tbs(side.clock())), Signed)


@pytest.mark.parametrize("spoil", [altered, lambda _: b"", lambda one: one + b"\0"])
def test_a_signature_that_does_not_hold_stays_inside(side, key, spoil, caplog):
    """A faulty token would publish what it must not; an alarm tells the operator."""
    side.store.spoil = spoil

    refused(side, side.sign(key, leaf_tbs(side.clock())), "token-error")

    assert "does not hold" in caplog.text
    assert ["failed"] == [one["event"] for one in side.lines("signed", "failed")]


def test_a_signature_by_another_key_never_leaves(side, key):
    """The public half decides, not the label of the store."""
    tbs = leaf_tbs(side.clock())
    side.store.spoil = lambda _: ANY_KEY.sign(tbs, ec.ECDSA(hashes.SHA256()))

    refused(side, side.sign(key, tbs), "token-error")
