"""Settings of a YubiKey, and what the command line shows of cards and slots."""

import re
from pathlib import Path

import pytest

from hsm_agent.stores.piv.opening import SETTINGS, open_store
from hsm_agent.stores.piv.overview import Slot, plugged_in, slots
from hsm_agent.stores.store import PinNeeded
from tests.hsm_agent.piv_bench import PIN, SERIAL, Rack, made, new_card, open_bench, verifies
from tests.virtual_yubikey.card import VirtualYubiKey


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"serail": 1}, "serail is no setting of a YubiKey: serial, reader"),
        ({"serial": "12a"}, "no serial number"),
        ({"serial": True}, "serial = True"),
        ({"serial": -5}, "no serial number"),
        ({"exclusive": "yes"}, "exclusive = 'yes'"),
        ({"exclusive": 1}, "exclusive = 1"),
        ({"wait": 0}, "wait should be more than 0"),
        ({"wait": 10_000}, "at most 600"),
        ({"wait": "3"}, "wait = '3'"),
        ({"pin-file": 4711}, "pin-file = 4711"),
        ({"pin-file": "a", "pin-credential": "b"}, "both set"),
        ({"attestation-roots": "roots.pem"}, "attestation-roots = 'roots.pem'"),
        ({"attestation-roots": [1]}, "should be a list of files"),
        ({"attestation-roots": ["absent.pem"]}, r"absent\.pem"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(tmp_path, settings, words):
    """No silent fallback, ever."""
    with pytest.raises(ValueError, match=words):
        open_store(settings, tmp_path, connector=Rack())


def test_nothing_needs_to_be_there_at_the_start(tmp_path):
    """Neither card nor PIN nor folder: the agent starts, and tells."""
    store = open_store({"pin-file": "pin"}, tmp_path / "later", connector=Rack())

    assert ("absent", "no YubiKey plugged in") == (
        store.state().state,
        store.state().details["why"],
    )
    assert not (tmp_path / "later").exists()
    store.close()


def test_paths_start_in_the_agents_folder_unless_they_are_absolute(tmp_path):
    """As everywhere in agent.toml."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card), pin_file=str(tmp_path / "pin"))
    public_key = made(store)

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))
    assert {"serial", "reader", "pin-file", "management-key-file"} <= set(SETTINGS)


def test_every_setting_is_described():
    """In the table of the guide, and nothing else is."""
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "use-a-yubikey.md"
    table = guide.read_text(encoding="utf-8").partition("## Settings")[2].partition("## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)

    assert [*SETTINGS] == re.findall(r"`([^`]+)`", " ".join(first_cells))


def test_a_person_is_asked_for_the_pin_once(tmp_path):
    """When it is needed first, and not while the agent only looks."""
    card = new_card()
    asked = []

    def ask():
        asked.append("PIN")
        return PIN

    made(open_bench(tmp_path, Rack(card)))
    store = open_store({"serial": SERIAL}, tmp_path, ask, Rack(card))
    assert ["pin-needed"] == [key.state for key in store.keys()]
    assert [] == asked

    for _ in range(2):
        store.sign("9a", "ecdsa-sha256", b"x")
    card.reset()
    store.sign("9a", "ecdsa-sha256", b"x")

    assert ["PIN"] == asked
    assert ["ready"] == [key.state for key in store.keys()]


def test_nonsense_that_a_person_types_is_asked_for_again(tmp_path):
    """A slip of the finger costs no try."""
    card = new_card()
    typed = iter(["", PIN])
    made(open_bench(tmp_path, Rack(card)))
    store = open_store({}, tmp_path, lambda: next(typed), Rack(card))

    with pytest.raises(PinNeeded, match="no PIN"):
        store.sign("9a", "ecdsa-sha256", b"x")

    assert store.sign("9a", "ecdsa-sha256", b"x")
    assert 3 == card.memory.pin.left


def test_every_slot_is_shown_with_what_it_holds(tmp_path):
    """In the order of the card: 9a, 9c, 9d, 9e, 82 to 95."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))
    made(store, "82", "rsa-2048", pin_policy="always", touch_policy="always")

    shown = slots(store)

    assert ["9a", "9c", "9d", "9e", "82"] == [slot.slot for slot in shown][:5]
    assert 24 == len(shown)
    assert Slot("9a") == shown[0]
    assert shown[4] == Slot(
        slot="82",
        key_type="rsa-2048",
        origin="generated",
        pin_policy="always",
        touch_policy="always",
        attestation="verified: Test PIV Root CA",
    )


def test_every_plugged_card_is_shown_so_that_its_serial_can_be_copied():
    """Also those that are as new, held by others, or pulled this moment."""
    gone = new_card(serial=4)
    gone.unplug()
    rack = Rack(new_card(serial=1), VirtualYubiKey(serial=2, version=(5, 4, 3)), new_card(), gone)
    rack.held.add("Reader 2")

    first, fresh, held, pulled = plugged_in(rack)

    assert ("1", "5.7.1", ()) == (first.serial, first.firmware, first.factory)
    assert ("2", ("rsa-2048",), ("PIN", "PUK", "management key")) == (
        fresh.serial,
        fresh.key_types,
        fresh.factory,
    )
    assert "another program" in held.why
    assert "no card" in pulled.why
