"""Where a PIN comes from, and the record of those that were refused."""

import os
import threading
from pathlib import Path

import pytest

from hsm_agent.stores.pkcs11.pins import NoPin, PinCredential, PinFile, PromptedPin, RefusedPins
from hsm_agent.stores.store import PinNeeded
from tests.hsm_agent.softhsm import PIN


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (PinCredential("", "token-pin"), "LoadCredential=token-pin"),
        (PinCredential("/nowhere", "token-pin"), "/nowhere/token-pin cannot be read"),
        (PinFile(Path("/nowhere/pin")), "/nowhere/pin cannot be read"),
        (NoPin(), "login = false"),
    ],
)
def test_a_pin_that_is_not_there_is_explained(source, complaint):
    """Each source says where it looked."""
    with pytest.raises(PinNeeded, match=complaint):
        source.read()


@pytest.mark.parametrize(("content", "complaint"), [(b"\n", "is empty"), (b"\xff", "no text")])
def test_a_pin_file_without_a_pin_is_refused(tmp_path, content, complaint):
    """An empty PIN would be a try as well."""
    (tmp_path / "pin").write_bytes(content)
    (tmp_path / "pin").chmod(0o600)

    with pytest.raises(PinNeeded, match=complaint):
        PinFile(tmp_path / "pin").read()


def test_a_prompt_asks_once_and_shows_nothing():
    """The answer is kept for later sessions, and is not part of its description."""
    asked = []

    def ask(what):
        asked.append(what)
        return PIN

    pin = PromptedPin("the token trial", ask, Path(os.devnull))

    assert not pin.at_hand
    assert PIN == pin.read() == pin.read()
    assert pin.at_hand
    assert ["PIN of the token trial: "] == asked
    assert PIN not in repr(pin)


def test_a_prompt_without_a_terminal_is_refused(tmp_path):
    """A service has none: it is told about the file."""
    with pytest.raises(PinNeeded, match="name a pin-file"):
        PromptedPin("the token trial", lambda _: PIN, tmp_path / "tty").read()
    with pytest.raises(PinNeeded, match="no PIN was given"):
        PromptedPin("the token trial", lambda _: "", Path(os.devnull)).read()


@pytest.fixture
def refused(tmp_path):
    return lambda: RefusedPins(tmp_path / "state" / "token.pins", lambda octets: b"s" * octets)


def cut_short(pins, pin=PIN):
    """Begin a try whose end nobody sees."""
    with pins.turn(pin):
        pass


def test_two_tries_that_were_cut_short_are_the_last(refused):
    """Nobody knows how they ended: a crash within the login must not become a loop of tries."""
    cut_short(refused())
    cut_short(refused())

    with pytest.raises(PinNeeded, match="2 tries of this PIN were cut short"):
        cut_short(refused())


def test_a_try_that_did_not_happen_is_taken_back(refused, tmp_path):
    """An absent token does not use up a PIN."""
    for _ in range(5):
        pins = refused()
        with pins.turn(PIN):
            pins.not_tried(PIN)

    assert [] == list((tmp_path / "state").glob("*.pins"))


def test_a_right_pin_may_be_used_for_ever(refused, tmp_path):
    """Logging in again after the token was away costs nothing."""
    pins = refused()
    with pins.turn(PIN):
        pins.right(PIN)

    for _ in range(5):
        cut_short(pins)

    assert [] == list((tmp_path / "state").glob("*.pins"))


def test_several_refused_pins_are_remembered(refused):
    """Going back to an earlier wrong PIN is no new try."""
    for pin in ("1111", "2222"):
        pins = refused()
        with pins.turn(pin):
            pins.wrong(pin)

    for pin in ("1111", "2222"):
        with pytest.raises(PinNeeded, match="has refused this PIN"):
            cut_short(refused(), pin)
    cut_short(refused(), "3333")


def test_a_person_may_allow_one_more_try(refused, tmp_path):
    """The sentence names the file to remove; no restart is needed."""
    pins = refused()
    with pins.turn(PIN):
        pins.wrong(PIN)
    record = tmp_path / "state" / "token.pins"
    with pytest.raises(PinNeeded, match=f"remove {record} to allow"):
        pins.check(PIN)

    record.unlink()

    pins.check(PIN)


def test_two_processes_do_not_try_one_pin_at_the_same_time(refused):
    """A command beside the running agent waits, and then knows the outcome."""
    first, second = refused(), refused()
    refusals = []

    def try_too():
        with pytest.raises(PinNeeded) as caught, second.turn(PIN):
            refusals.append("tried")
        refusals.append(str(caught.value))

    with first.turn(PIN):
        other = threading.Thread(target=try_too)
        other.start()
        first.wrong(PIN)
    other.join()

    assert ["the token has refused this PIN"] == [why.partition(":")[0] for why in refusals]


def test_nothing_is_tried_where_nothing_can_be_written_down(tmp_path):
    """A wrong PIN would be forgotten, and tried again for ever."""
    (tmp_path / "state").write_bytes(b"")
    pins = RefusedPins(tmp_path / "state" / "token.pins", bytes)

    with pytest.raises(PinNeeded, match="cannot be written, so no PIN is tried"):
        cut_short(pins)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"salt": "zz", "tries": {}}', b"\xff"])
def test_a_damaged_record_allows_no_try(refused, tmp_path, content):
    """It may have held the refusal; removing it is a person's decision."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "token.pins").write_bytes(content)

    with pytest.raises(PinNeeded, match=r"cannot be read.*remove"):
        cut_short(refused())
