"""Cards that are pulled, taken away, not touched, slow, or one of several."""

import threading

import pytest
from smartcard.Exceptions import CardConnectionException

from hsm_agent.stores.piv.store import CardBusy
from hsm_agent.stores.store import (
    KeyExists,
    StoreError,
    TokenAbsent,
    TokenFault,
    TouchTimeout,
)
from tests.hsm_agent.piv_bench import (
    AUTHENTICATE,
    GENERATE,
    SELECT_OTP,
    SELECT_PIV,
    SERIAL,
    VERIFY,
    Rack,
    made,
    new_card,
    open_bench,
    verifies,
)
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.keys import KeyType

LONG = 60.0


@pytest.fixture
def card():
    return new_card()


@pytest.fixture
def rack(card):
    return Rack(card)


@pytest.fixture
def store(tmp_path, rack):
    return open_bench(tmp_path, rack)


def test_a_pulled_card_is_absent_at_once_and_signs_again_when_it_is_back(store, card, rack):
    """Nobody restarts anything."""
    public_key = made(store)
    card.unplug()

    for _ in range(2):
        with pytest.raises(TokenAbsent, match="not plugged in"):
            store.sign("9a", "ecdsa-sha256", b"x")
    with pytest.raises(TokenAbsent):
        store.keys()
    absent = store.state()
    assert ("absent", str(SERIAL)) == (absent.state, absent.details["serial"])
    assert "not plugged in" in absent.details["why"]

    card.plug()
    rack.clock.seconds += 1

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))
    assert "ready" == store.state().state


def test_a_card_pulled_in_the_middle_of_a_signature_signs_after_re_insertion(store, card, rack):
    """The signature that was under way ends with an error within milliseconds, not seconds."""
    public_key = made(store)
    store.sign("9a", "ecdsa-sha256", b"x")
    card.surroundings.delay = {KeyType.ECCP256: LONG}
    ended = []

    def sign():
        try:
            store.sign("9a", "ecdsa-sha256", b"x")
        except StoreError as error:
            ended.append(error)

    thread = threading.Thread(target=sign)
    thread.start()
    assert card.surroundings.working.wait(LONG)
    card.unplug()
    thread.join(LONG / 3)

    assert not thread.is_alive()
    assert [TokenAbsent] == [type(error) for error in ended]
    card.surroundings.delay = {}
    card.plug()
    rack.clock.seconds += 1
    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))


def test_a_card_that_was_away_for_a_moment_costs_no_request(store, card):
    """It was pulled and put back between two signatures, or reset by the reader."""
    public_key = made(store)
    card.unplug()
    card.plug()

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))


def test_making_a_key_is_not_repeated_when_the_line_breaks(store, card, monkeypatch):
    """Perhaps it was made: the slot says so when the card is back."""
    made(store, "9c")
    real = InProcessConnection.send_and_receive

    def break_after_generate(self, apdu):
        answer = real(self, apdu)
        if apdu[1] == GENERATE:
            card.unplug()
            raise CardConnectionException("pulled", hresult=0x80100069)
        return answer

    monkeypatch.setattr(InProcessConnection, "send_and_receive", break_after_generate)

    with pytest.raises(TokenAbsent):
        made(store, "9a")
    card.plug()
    with pytest.raises(KeyExists):
        made(store, "9a")
    assert ["9a", "9c"] == sorted(key.label for key in store.keys())


@pytest.mark.parametrize("select", [SELECT_OTP, SELECT_PIV], ids=["otp", "piv"])
@pytest.mark.parametrize("policy", ["once", "always", "never"])
def test_another_program_that_selects_the_card_costs_one_more_verify(store, card, select, policy):
    """Selecting forgets the PIN: select again, verify once, sign once more."""
    public_key = made(store, "9a", pin_policy=policy)
    store.sign("9a", "ecdsa-sha256", b"x")
    card.process(select)

    signature = store.sign("9a", "ecdsa-sha256", b"y")

    assert verifies(public_key, "ecdsa-sha256", b"y", signature)
    assert 3 == card.memory.pin.left


def test_two_refusals_are_an_answer(store, card):
    """Selected again, PIN proven, and the card still says no: a third time would not help."""
    made(store)
    store.sign("9a", "ecdsa-sha256", b"x")
    del card.memory.keys[0x9A]
    before = len(card.exchanges(AUTHENTICATE))

    with pytest.raises(TokenFault, match="refuses to use the key in slot 9a: status 6a80"):
        store.sign("9a", "ecdsa-sha256", b"x")

    assert before + 2 == len(card.exchanges(AUTHENTICATE))


@pytest.mark.parametrize("pin_policy", ["never", "once", "always"])
def test_a_key_that_nobody_touches_says_so(tmp_path, pin_policy):
    """6982 also means a missing PIN; it is not tried once more, and costs no try."""
    fingers = iter([False, True])
    card = new_card(touch=lambda _slot: next(fingers))
    store = open_bench(tmp_path, Rack(card))
    public_key = made(store, pin_policy=pin_policy, touch_policy="always")

    with pytest.raises(TouchTimeout, match="nobody touched YubiKey 12345678 in time"):
        store.sign("9a", "ecdsa-sha256", b"x")

    assert 1 == len(card.exchanges(AUTHENTICATE)) - card_management_exchanges(card)
    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))
    assert 3 == card.memory.pin.left


def card_management_exchanges(card):
    """Count what GENERAL AUTHENTICATE was used for beside signatures."""
    return sum(one.command[3] == 0x9B for one in card.exchanges(AUTHENTICATE))


def test_a_line_that_breaks_while_a_finger_is_waited_for_is_a_missing_finger(store, card, rack):
    """Some readers lose the line instead of telling the status (0x8010002F)."""
    made(store, touch_policy="always")
    store.sign("9a", "ecdsa-sha256", b"x")

    def wait_in_vain(_slot):
        rack.clock.seconds += 15
        card.surroundings.gone.set()

    card.touch = wait_in_vain
    with pytest.raises(TouchTimeout):
        store.sign("9a", "ecdsa-sha256", b"x")

    card.touch = lambda _slot: True
    card.plug()
    assert store.sign("9a", "ecdsa-sha256", b"x")


def test_one_card_does_one_thing_at_a_time_and_loses_none(store, card):
    """Eight threads; the card would mix up their commands."""
    public_key = made(store, "9c", pin_policy="always")
    failed = []

    def work(number):
        for turn in range(20):
            data = f"{number}/{turn}".encode()
            try:
                verifies(public_key, "ecdsa-sha256", data, store.sign("9c", "ecdsa-sha256", data))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failed
    assert 160 <= len(card.exchanges(VERIFY))


def test_who_waits_too_long_for_a_busy_card_hears_it(tmp_path, card, rack):
    """The request may go to another agent; the state is still told, from memory."""
    store = open_bench(tmp_path, rack, wait=0.05)
    made(store)
    known = store.state()
    card.surroundings.delay = {KeyType.ECCP256: LONG}

    def sign():
        with pytest.raises(TokenAbsent):
            store.sign("9a", "ecdsa-sha256", b"x")

    thread = threading.Thread(target=sign)
    thread.start()
    assert card.surroundings.working.wait(LONG)

    with pytest.raises(CardBusy) as busy:
        store.sign("9a", "ecdsa-sha256", b"x")
    assert "busy" == busy.value.code
    assert known == store.state()
    card.unplug()
    thread.join()
