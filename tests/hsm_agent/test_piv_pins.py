"""PINs: one automatic try for each wrong one, ever."""

import pytest

from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.preparing import check_pin
from hsm_agent.stores.store import PinLocked, PinNeeded
from tests.hsm_agent.piv_bench import (
    PIN,
    SERIAL,
    VERIFY,
    Rack,
    made,
    new_card,
    open_bench,
    verifies,
    write_secret,
)


@pytest.fixture
def card():
    return new_card()


@pytest.fixture
def rack(card):
    return Rack(card)


def tries(card):
    """Count how often a PIN was shown to the card."""
    return sum(len(one.command) > 5 for one in card.exchanges(VERIFY))


def key_made(tmp_path, rack, **policies):
    """Make a key with the right PIN at hand, and forget that there was a process."""
    store = open_bench(tmp_path, rack)
    public_key = made(store, "9c", **policies)
    store.close()
    return public_key


def test_a_wrong_pin_costs_one_try_however_often_the_agent_starts(tmp_path, card, rack):
    """A service manager that restarts a failing agent would block the card in a second."""
    key_made(tmp_path, rack)
    (tmp_path / "pin").write_text("999999\n", encoding="ascii")

    sentences = []
    for _ in range(5):
        store = open_bench(tmp_path, rack)
        for _ in range(3):
            with pytest.raises(PinNeeded) as refused:
                store.sign("9c", "ecdsa-sha256", b"x")
            sentences.append(str(refused.value))
        assert "pin-needed" == store.state().state
        assert ["pin-needed"] == [key.state for key in store.keys()]
        store.close()

    assert (1, 2) == (tries(card), card.memory.pin.left)
    assert f"not that of YubiKey {SERIAL}, 2 tries are left" in sentences[0]
    assert all(
        "was wrong" in sentence and "not tried again" in sentence for sentence in sentences[1:]
    )


def test_every_new_value_gets_a_try_of_its_own_until_one_is_left(tmp_path, card, rack):
    """The last try is left for a person."""
    key_made(tmp_path, rack)
    store = open_bench(tmp_path, rack)

    for pin, error in [("999991", PinNeeded), ("999992", PinLocked), ("999993", PinLocked)]:
        (tmp_path / "pin").write_text(pin, encoding="ascii")
        with pytest.raises(error):
            store.sign("9c", "ecdsa-sha256", b"x")

    (tmp_path / "pin").write_text(PIN, encoding="ascii")
    with pytest.raises(PinLocked, match="last try is left for a person"):
        store.sign("9c", "ecdsa-sha256", b"x")
    assert (2, 1, "pin-locked") == (tries(card), card.memory.pin.left, store.state().state)


def test_a_corrected_file_works_without_a_restart(tmp_path, card, rack):
    """The file is read whenever the PIN is needed."""
    public_key = key_made(tmp_path, rack)
    (tmp_path / "pin").write_text("999999", encoding="ascii")
    store = open_bench(tmp_path, rack)
    with pytest.raises(PinNeeded):
        store.sign("9c", "ecdsa-sha256", b"x")

    (tmp_path / "pin").write_text(PIN, encoding="ascii")

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9c", "ecdsa-sha256", b"x"))
    assert 3 == card.memory.pin.left


def test_a_blocked_pin_stops_all_but_the_keys_that_want_none(tmp_path, card, rack):
    """6983 is not an invitation to try."""
    store = open_bench(tmp_path, rack)
    guarded = made(store, "9c")
    free = made(store, "9e", pin_policy="never")
    store.close()
    card.memory.pin.left = 0
    before = tries(card)
    store = open_bench(tmp_path, rack)

    with pytest.raises(PinLocked, match="is blocked: hsm-agent pin unblock"):
        store.sign("9c", "ecdsa-sha256", b"x")

    states = {key.public_key: key.state for key in store.keys()}
    assert {guarded: "pin-locked", free: "ready"} == states
    assert verifies(free, "ecdsa-sha256", b"x", store.sign("9e", "ecdsa-sha256", b"x"))
    assert before == tries(card)


def test_a_crash_between_the_try_and_its_answer_costs_no_second_try(
    tmp_path, card, rack, monkeypatch
):
    """The intent is on disk before the card sees the PIN; the counter tells how it ended."""
    key_made(tmp_path, rack)
    (tmp_path / "pin").write_text("999999", encoding="ascii")
    store = open_bench(tmp_path, rack)

    def power_cut(card, pin):
        with card.asked("take a PIN") as session:
            try:
                session.verify_pin(pin)
            except ValueError as wrong:
                raise KeyboardInterrupt from wrong

    with monkeypatch.context() as patched:
        patched.setattr(Card, "verify", power_cut)
        with pytest.raises(KeyboardInterrupt):
            store.sign("9c", "ecdsa-sha256", b"x")

    after = open_bench(tmp_path, rack)
    with pytest.raises(PinNeeded, match="not tried again"):
        after.sign("9c", "ecdsa-sha256", b"x")
    assert 2 == card.memory.pin.left


def test_the_pin_is_shown_once_for_policy_once_and_each_time_for_always(tmp_path, card, rack):
    """Each try that is not needed is a risk, and time."""
    store = open_bench(tmp_path, rack)
    made(store, "9a", pin_policy="once")
    made(store, "9c", pin_policy="always")
    made(store, "9e", pin_policy="never")

    counts = []
    for slot in ("9e", "9a", "9a", "9c", "9c", "9a"):
        store.sign(slot, "ecdsa-sha256", b"x")
        counts.append(tries(card))

    assert [0, 1, 1, 2, 3, 3] == counts


@pytest.mark.parametrize(
    "text", ["", "12345", "123456789", "12345\x07", "ümlaute", "462813 \n\n462"]
)
def test_what_cannot_be_a_pin_is_never_shown(tmp_path, card, rack, text):
    """It would only cost a try."""
    key_made(tmp_path, rack)
    (tmp_path / "pin").write_text(text, encoding="utf-8")
    store = open_bench(tmp_path, rack)

    with pytest.raises(PinNeeded, match="no PIN"):
        store.sign("9c", "ecdsa-sha256", b"x")

    assert 0 == tries(card)


def test_a_pin_file_that_others_can_read_is_not_used(tmp_path, rack):
    """The sentence says what to do."""
    key_made(tmp_path, rack)
    (tmp_path / "pin").chmod(0o640)
    store = open_bench(tmp_path, rack)

    with pytest.raises(PinNeeded, match="chmod 600"):
        store.sign("9c", "ecdsa-sha256", b"x")
    assert "pin-needed" == store.state().state


def test_without_any_pin_the_key_waits_and_says_so(tmp_path, rack):
    """No file, no credential, nobody to ask."""
    key_made(tmp_path, rack)
    store = open_bench(tmp_path, rack, pin_file=None)

    with pytest.raises(PinNeeded, match="set pin-file or pin-credential"):
        store.sign("9c", "ecdsa-sha256", b"x")
    assert ["pin-needed"] == [key.state for key in store.keys()]


def test_a_credential_of_the_service_manager_is_a_pin(tmp_path, rack, monkeypatch):
    """The manager, systemd, puts it where only this service can read it."""
    public_key = key_made(tmp_path, rack)
    (tmp_path / "credentials").mkdir()
    write_secret(tmp_path / "credentials" / "yubikey-pin", PIN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    store = open_bench(tmp_path, rack, pin_file=None, pin_credential="yubikey-pin")

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9c", "ecdsa-sha256", b"x"))


def test_the_same_pin_on_another_card_is_another_value(tmp_path, card):
    """Several YubiKeys, several PINs, one memory."""
    other = new_card(serial=777)
    other.memory.pin.set(b"999999\xff\xff")
    rack = Rack(card, other)
    key_made(tmp_path, rack)
    wrong_here = open_bench(tmp_path, rack, serial=777)
    made(wrong_here, "9c")

    with pytest.raises(PinNeeded):
        wrong_here.sign("9c", "ecdsa-sha256", b"x")
    wrong_here.close()

    assert open_bench(tmp_path, rack).sign("9c", "ecdsa-sha256", b"x")
    assert (3, 2) == (card.memory.pin.left, other.memory.pin.left)


def test_a_person_may_try_what_the_agent_does_not(tmp_path, card, rack):
    """The PIN of the card was changed to what the file has had all along."""
    public_key = key_made(tmp_path, rack)
    (tmp_path / "pin").write_text("999999", encoding="ascii")
    store = open_bench(tmp_path, rack)
    with pytest.raises(PinNeeded):
        store.sign("9c", "ecdsa-sha256", b"x")
    card.memory.pin.set(b"999999\xff\xff")
    with pytest.raises(PinNeeded, match="not tried again"):
        store.sign("9c", "ecdsa-sha256", b"x")

    assert "the PIN is right; the card takes 3 wrong ones" == check_pin(store)

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9c", "ecdsa-sha256", b"x"))


def test_a_person_cannot_use_the_last_try_by_mistake(tmp_path, card, rack):
    """Unblocking by the PUK is the way then."""
    store = open_bench(tmp_path, rack)

    with pytest.raises(PinNeeded):
        check_pin(store, "999999")
    with pytest.raises(PinLocked):
        check_pin(store, "999998")
    with pytest.raises(PinLocked):
        check_pin(store, PIN)

    assert 1 == card.memory.pin.left
