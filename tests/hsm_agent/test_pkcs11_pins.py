"""The PIN of a token: tried once where it is wrong, ever; and seen by nobody."""

import logging
import os
import threading
from pathlib import Path

import pytest

from hsm_agent.stores.pkcs11.opening import open_store
from hsm_agent.stores.store import NewKey, PinLocked, PinNeeded
from tests.hsm_agent.softhsm import PIN, make_softhsm

WRONG = "2342-1337"
TBS = b"to be signed"


@pytest.fixture
def softhsm(tmp_path):
    return make_softhsm(tmp_path / "softhsm")


@pytest.fixture
def opened(softhsm):
    """Open stores that are closed again at the end."""
    stores = []

    def open_(*, spied=True, **settings):
        stores.append(softhsm.open_spied(**settings) if spied else softhsm.open(**settings))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def log_in_outside(softhsm):
    """Log in rightly with another program, which sets the token's count of wrong PINs to none."""
    softhsm.tool("--list-objects")


def test_a_wrong_pin_reaches_the_token_once_ever(softhsm, opened):
    """Not again by the next request, nor after restarts, nor when the token would allow it."""
    softhsm.write_pin(WRONG)
    for _ in range(3):
        store = opened()
        for _ in range(3):
            with pytest.raises(PinNeeded, match=r"PinIncorrect|has refused this PIN") as caught:
                store.keys()
            assert WRONG not in str(caught.value)
        assert "pin-needed" == store.state().state
        store.close()
        log_in_outside(softhsm)

    assert 1 == softhsm.logins


def test_many_callers_at_once_try_a_wrong_pin_once(softhsm, opened):
    """The first one finds out for all."""
    softhsm.write_pin(WRONG)
    store = opened()
    refused = []

    def ask():
        try:
            store.keys()
        except (PinNeeded, PinLocked) as error:
            refused.append(error)

    callers = [threading.Thread(target=ask) for _ in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert 16 == len(refused)
    assert 1 == softhsm.logins


def test_another_pin_in_the_file_is_tried_without_a_restart(softhsm, opened):
    """The right one ends the trouble; the wrong one is remembered all the same."""
    softhsm.write_pin(WRONG)
    store = opened()
    with pytest.raises(PinNeeded):
        store.keys()
    log_in_outside(softhsm)

    softhsm.write_pin(PIN)

    assert "ready" == store.state().state
    assert [] == store.keys()
    softhsm.write_pin(WRONG)
    with pytest.raises(PinNeeded, match="has refused this PIN"):
        opened().keys()
    assert 2 == softhsm.logins


def test_few_tries_left_are_not_risked(softhsm, opened):
    """After somebody else's wrong PIN (USER_PIN_COUNT_LOW) not even the right one is tried."""
    softhsm.run([*tool(softhsm), "--login", "--pin", WRONG, "--list-objects"], check=False)
    store = opened()

    with pytest.raises(PinLocked, match="none more is risked"):
        store.keys()

    assert "pin-locked" == store.state().state
    assert 0 == softhsm.logins
    log_in_outside(softhsm)
    assert "ready" == store.state().state
    assert [] == store.keys()


def tool(softhsm):
    return ["pkcs11-tool", "--module", softhsm.module, "--token-label", "trial"]


def test_a_session_goes_on_while_others_try_wrong_pins(softhsm, opened):
    """Who is logged in needs no PIN; the state stays ready."""
    store = opened()
    store.generate(NewKey("issuing-1", "ec-p256"))

    softhsm.run([*tool(softhsm), "--login", "--pin", WRONG, "--list-objects"], check=False)

    assert store.sign("issuing-1", "ecdsa-sha256", TBS)
    assert "ready" == store.state().state


def test_a_changed_pin_stops_a_key_that_wants_it_each_time(softhsm, opened):
    """The PIN goes with each signature, so a wrong one counts: it is tried once."""
    store = opened()
    store.generate(NewKey("root", "ec-p256", pin_policy="always"))
    store.sign("root", "ecdsa-sha256", TBS)
    before = softhsm.logins
    softhsm.write_pin(WRONG)

    for _ in range(3):
        with pytest.raises(PinNeeded):
            store.sign("root", "ecdsa-sha256", TBS)

    assert before + 1 == softhsm.logins
    assert "pin-needed" == store.state().state


def test_the_pin_is_nowhere_to_be_seen(tmp_path, caplog, capfd):
    """Neither processes, nor what the worker was started with, nor files, nor logs show it."""
    caplog.set_level(logging.DEBUG)
    softhsm = make_softhsm(tmp_path / "other", pin=f"90125-{os.getpid()}")
    store = softhsm.open()
    store.generate(NewKey("root", "ec-p256", pin_policy="always"))
    store.sign("root", "ecdsa-sha256", TBS)
    assert store.process

    seen = [text for text in process_texts() if softhsm.pin.encode() in text]
    files = [path for path in (softhsm.folder / "agent").rglob("*") if path.is_file()]
    store.close()

    assert [] == seen
    assert [] == [path for path in files if softhsm.pin.encode() in path.read_bytes()]
    assert softhsm.pin not in caplog.text + "".join(capfd.readouterr())


def process_texts():
    """Yield command line and environment of every process that lets us look."""
    for process in Path("/proc").iterdir():
        for name in ("cmdline", "environ"):
            try:
                if process.name.isdecimal():
                    yield (process / name).read_bytes()
            except OSError:
                continue


def test_nothing_about_the_right_pin_stays_on_disk(softhsm, opened):
    """A hash of a short PIN is nearly the PIN."""
    opened(spied=False).keys()

    assert [] == list((softhsm.folder / "agent").rglob("*.pins"))


def test_a_refused_pin_is_kept_as_a_slow_hash_for_the_owner_alone(softhsm, opened):
    """Mode 0600, and not the PIN."""
    softhsm.write_pin(WRONG)
    with pytest.raises(PinNeeded):
        opened(spied=False).keys()

    (record,) = (softhsm.folder / "agent").rglob("*.pins")

    assert 0o600 == record.stat().st_mode & 0o777
    assert WRONG.encode() not in record.read_bytes()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_pin_file_that_others_read_stops_the_start(softhsm, opened, mode):
    """The sentence says what to do."""
    softhsm.pin_file.chmod(mode)

    with pytest.raises(PinNeeded, match="chmod 600"):
        opened()


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_pin_file_of_the_owner_alone_is_read(softhsm, opened, mode):
    """A file that only its owner reads may be writable or not."""
    softhsm.pin_file.chmod(mode)

    assert [] == opened(spied=False).keys()


def test_a_pin_comes_as_a_credential(softhsm, monkeypatch, tmp_path):
    """As systemd leaves it: the folder is told in the environment, access by a list (0440)."""
    (tmp_path / "token-pin").write_text(PIN)
    (tmp_path / "token-pin").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = softhsm.settings()
    del settings["pin-file"]

    store = open_store({**settings, "pin-credential": "token-pin"}, tmp_path)

    assert [] == store.keys()
    store.close()
