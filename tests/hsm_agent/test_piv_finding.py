"""One of several cards, by its serial number, and cards that others hold."""

import pytest

from hsm_agent.stores.store import (
    TokenAbsent,
    TokenFault,
)
from tests.hsm_agent.piv_bench import (
    SERIAL,
    VERIFY,
    Rack,
    made,
    new_card,
    open_bench,
)


@pytest.fixture
def card():
    return new_card()


@pytest.fixture
def rack(card):
    return Rack(card)


def test_each_store_finds_its_own_card_by_its_serial(tmp_path):
    """Readers are numbered anew each time; the serial is printed on the card."""
    cards = [new_card(serial=number) for number in (111, 222, 333)]
    rack = Rack(*cards)
    keys = {}
    for number in (222, 111):
        store = open_bench(tmp_path, rack, serial=number)
        keys[number] = made(store)
        store.close()

    rack.cards = tuple(reversed(cards))

    for number, public_key in keys.items():
        store = open_bench(tmp_path, rack, serial=str(number))
        assert [public_key] == [key.public_key for key in store.keys()]
        assert str(number) == store.state().details["serial"]
        store.close()


def test_a_card_of_another_serial_is_not_taken_instead(tmp_path, card, rack):
    """Not even when it is the only one; its serial is told."""
    store = open_bench(tmp_path, rack, serial=999)

    with pytest.raises(TokenAbsent, match=r"YubiKey 999 is not plugged in: .* YubiKey 12345678"):
        made(store)
    assert [] == card.exchanges(VERIFY)


def test_without_a_serial_the_only_card_is_meant_and_kept(tmp_path, card):
    """Later another one in its place is not taken for it."""
    rack = Rack(card)
    store = open_bench(tmp_path, rack, serial=None)
    made(store)
    rack.cards = (new_card(serial=777),)
    card.unplug()

    with pytest.raises(TokenAbsent, match=f"YubiKey {SERIAL} is not plugged in"):
        store.sign("9a", "ecdsa-sha256", b"x")


def test_without_a_serial_several_cards_are_a_question(tmp_path):
    """Which one is meant is nothing to guess."""
    store = open_bench(tmp_path, Rack(new_card(serial=1), new_card(serial=2)), serial=None)

    with pytest.raises(TokenFault, match=r"several YubiKeys, say which: serial = one of 1, 2"):
        store.keys()


def test_a_card_that_another_program_holds_is_absent_and_the_sentence_says_why(tmp_path, rack):
    """It comes back by itself when the other program lets it go."""
    store = open_bench(tmp_path, rack)
    rack.held.add("Reader 0")

    with pytest.raises(TokenAbsent, match="another program holds the card in reader Reader 0"):
        store.keys()
    assert "another program" in store.state().details["why"]

    rack.held.clear()
    rack.clock.seconds += 1
    assert [] == store.keys()


def test_looking_for_an_absent_card_is_cheap(tmp_path, card, rack):
    """Other cards are powered up by each question: unchanged readers are left alone a while."""
    store = open_bench(tmp_path, rack, serial=999)

    connections = []
    for seconds in (0.0, 0.1, 0.4, 0.6):
        rack.clock.seconds = seconds
        with pytest.raises(TokenAbsent):
            store.keys()
        connections.append(rack.connections)

    assert [1, 1, 1, 2] == connections
    rack.cards = (card, new_card(serial=999))
    assert [] == store.keys()
