"""A PKCS#11 module that crashes, hangs, or outlives the agent: only its worker suffers."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from hsm_agent.stores.store import NewKey, StoreError, TokenFault
from pikaserver.testing.patience import SECONDS, until
from tests.hsm_agent.bad_module import Misdeeds, compiled, settings
from tests.hsm_agent.callers import is_gone, verify
from tests.hsm_agent.softhsm import make_softhsm

TBS = b"to be signed"
SIGN = ("issuing-1", "ecdsa-sha256", TBS)


@pytest.fixture
def softhsm(tmp_path):
    return make_softhsm(tmp_path / "softhsm")


@pytest.fixture(scope="module")
def bad_module(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("module"))


@pytest.fixture
def misdeeds(tmp_path):
    return Misdeeds(tmp_path / "misdeeds")


@pytest.fixture
def bad(softhsm, bad_module, misdeeds):
    return settings(softhsm, bad_module, misdeeds)


@pytest.fixture
def bad_store(softhsm, bad, misdeeds):
    store = softhsm.open(**bad, timeout=3)
    store.generate(NewKey("issuing-1", "ec-p256"))
    store.generate(NewKey("issuing-2", "ec-p256"))
    yield store
    for deed in misdeeds.folder.iterdir():
        deed.unlink()
    store.close()


def test_a_module_that_hangs_in_a_signature_is_given_up(bad_store, misdeeds):
    """The process is killed within the call; the token is used again as soon as it answers."""
    misdeeds.begin("sign-hangs")
    hanging = bad_store.process
    with pytest.raises(TokenFault, match="did not answer within 3 seconds"):
        bad_store.sign(*SIGN)
    assert is_gone(hanging)

    misdeeds.end("sign-hangs")

    verify(bad_store, "issuing-1", bad_store.sign(*SIGN))


def test_looking_at_a_token_that_hangs_does_not_take_its_whole_time(softhsm, bad, misdeeds):
    """Whoever asks how the store is gets an answer within seconds: as it was."""
    store = softhsm.open(**bad, timeout=300)
    store.generate(NewKey("issuing-1", "ec-p256"))
    store.state()
    misdeeds.begin("sign-hangs")

    def ask():
        with pytest.raises(TokenFault):
            store.sign(*SIGN)

    caller = threading.Thread(target=ask)
    caller.start()
    misdeeds.await_hanging()
    begun = time.monotonic()

    state = store.state()

    assert "ready" == state.state
    assert time.monotonic() - begun < SECONDS
    store.close()
    caller.join()


def test_a_key_that_crashes_the_module_harms_no_other(bad_store, misdeeds):
    """The request is tried twice, fails, and the next one finds a new worker."""
    before = bad_store.process
    misdeeds.begin("sign-crashes")

    with pytest.raises(TokenFault, match="died of SIGSEGV with this request"):
        bad_store.sign(*SIGN)

    assert is_gone(before)
    misdeeds.end("sign-crashes")
    verify(bad_store, "issuing-2", bad_store.sign("issuing-2", "ecdsa-sha256", TBS))


def test_a_module_that_only_crashes_is_left_alone_for_a_while(bad_store, misdeeds):
    """Back-off: requests fail at once and say when the next start is, until it works again."""
    misdeeds.begin("sign-crashes")
    faults = []
    while not any("the next start is in" in fault for fault in faults):
        with pytest.raises(TokenFault) as caught:
            bad_store.sign(*SIGN)
        faults.append(str(caught.value))
    assert len(faults) < 5
    assert "absent" == bad_store.state().state
    misdeeds.end("sign-crashes")

    signature = None
    while signature is None:
        try:
            signature = bad_store.sign(*SIGN)
        except TokenFault:
            time.sleep(0.02)

    verify(bad_store, "issuing-1", signature)
    assert "ready" == bad_store.state().state


@pytest.mark.parametrize("misdeed", ["login-crashes", "login-hangs"])
def test_a_login_that_was_cut_short_is_not_repeated_for_ever(softhsm, bad, misdeeds, misdeed):
    """Nobody knows whether the token counted it: two such tries are all, restarts included."""
    misdeeds.begin(misdeed)
    faults = []
    for _ in range(4):
        store = softhsm.open(**bad, timeout=0.5)
        with pytest.raises(StoreError) as caught:
            store.keys()
        faults.append(str(caught.value))
        store.close()

    assert 2 == sum("2 tries of this PIN were cut short" in fault for fault in faults), faults
    assert 2 == sum("PKCS#11 module" in fault for fault in faults), faults


def test_a_known_pin_survives_a_crash_within_a_login(bad_store, misdeeds):
    """It was right before: the next worker logs in with it."""
    os.kill(bad_store.process, signal.SIGKILL)
    misdeeds.begin("login-crashes")
    with pytest.raises(TokenFault):
        bad_store.sign(*SIGN)

    misdeeds.end("login-crashes")

    verify(bad_store, "issuing-1", bad_store.sign(*SIGN))


def test_closing_ends_a_worker_that_hangs_and_answers_who_waits(bad_store, misdeeds):
    """Close does not wait for a module that never returns."""
    misdeeds.begin("sign-hangs")
    hanging = bad_store.process
    faults = []

    def ask():
        with pytest.raises(TokenFault) as caught:
            bad_store.sign(*SIGN)
        faults.append(str(caught.value))

    caller = threading.Thread(target=ask)
    caller.start()
    misdeeds.await_hanging()
    bad_store.close()
    caller.join(SECONDS)

    assert is_gone(hanging)
    assert 1 == len(faults)


@pytest.mark.parametrize("hanging", [False, True])
def test_the_worker_ends_with_its_parent(softhsm, bad, misdeeds, tmp_path, hanging):
    """The agent is killed: nothing keeps the token open, also not a call that never returns."""
    script = f"""
        import sys, threading
        from pathlib import Path
        from hsm_agent.stores.pkcs11.opening import open_store
        from hsm_agent.stores.store import NewKey

        settings = {softhsm.settings(**bad)!r}
        store = open_store(settings, Path({str(tmp_path)!r}))
        store.generate(NewKey("issuing-1", "ec-p256"))
        if {hanging}:
            Path({str(misdeeds.folder / "sign-hangs")!r}).touch()
            threading.Thread(target=store.sign, args={SIGN!r}, daemon=True).start()
        print(store.process, flush=True)
        sys.stdin.read()
    """
    agent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    worker = int(agent.stdout.readline())
    assert not is_gone(worker)
    if hanging:
        misdeeds.await_hanging()

    agent.kill()
    agent.communicate()

    until(lambda: is_ended(worker), "the end of the worker")


def is_ended(process):
    """Tell whether a process has ended; somebody else's orphan may wait to be collected."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"
