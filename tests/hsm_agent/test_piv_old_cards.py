"""Cards of older firmware: read without metadata, refused where they do harm."""

import pytest

from hsm_agent.stores.store import (
    NewKey,
    StoreError,
    Unsupported,
)
from tests.hsm_agent.piv_bench import (
    GENERATE,
    PIN,
    Rack,
    made,
    new_card,
    open_bench,
    verifies,
)
from tests.virtual_yubikey.keys import KeyType


@pytest.mark.parametrize("version", [(5, 2, 4), (4, 3, 5)])
def test_a_card_without_metadata_is_read_by_attestation_and_certificate(tmp_path, version):
    """Before firmware 5.3 nothing else tells of a key."""
    card = new_card(version=version)
    rack = Rack(card)
    store = open_bench(tmp_path, rack)
    keys = {slot: made(store, slot, "rsa-2048") for slot in ("9a", "9c")}
    store.close()
    card.memory.keys[0x9D] = card.memory.keys[0x9A].__class__(
        KeyType.RSA2048, card.memory.keys[0x9A].private, 2, 1, generated=False
    )

    again = open_bench(tmp_path, rack)

    listed = {key.label: key for key in again.keys()}
    assert keys == {slot: key.public_key for slot, key in listed.items()}
    assert {"generated"} == {key.details["origin"] for key in listed.values()}
    assert {"verified: Test PIV Root CA"} == {k.details["attestation"] for k in listed.values()}
    for slot, public_key in keys.items():
        assert verifies(public_key, "rsa-sha256", b"x", again.sign(slot, "rsa-sha256", b"x"))
    assert ("rsa-2048",) == again.state().key_types


def test_an_old_card_with_the_factorys_pin_or_management_key_is_found_out(tmp_path):
    """It has no flag for it; the one is in the file, the other is tried, which costs nothing."""
    card = new_card(version=(5, 2, 4))
    rack = Rack(card)
    made(open_bench(tmp_path, rack), "9a", "rsa-2048")
    (tmp_path / "pin").write_text("123456", encoding="ascii")
    store = open_bench(tmp_path, rack)

    with pytest.raises(StoreError, match="not used with the factory's PIN"):
        store.sign("9a", "rsa-sha256", b"x")
    assert 3 == card.memory.pin.left

    (tmp_path / "pin").write_text(PIN, encoding="ascii")
    card.memory.management = new_factory_key(card)
    store.close()
    with pytest.raises(StoreError, match="factory's management key"):
        open_bench(tmp_path, rack).sign("9a", "rsa-sha256", b"x")


def new_factory_key(card):
    """Return the management key that a card of this firmware is delivered with."""
    return type(card)(version=card.version).memory.management


def test_ec_on_old_firmware_is_refused_unless_somebody_takes_it_knowingly(tmp_path):
    """EUCLEAK: the key that was made by another program is shown, and not used."""
    card = new_card(version=(5, 4, 3))
    rack = Rack(card)
    knowing = open_bench(tmp_path, rack, accept_firmware="5.4.3")
    public_key = made(knowing)
    assert verifies(public_key, "ecdsa-sha256", b"x", knowing.sign("9a", "ecdsa-sha256", b"x"))
    knowing.close()
    store = open_bench(tmp_path, rack)

    with pytest.raises(Unsupported, match="EUCLEAK"):
        store.sign("9a", "ecdsa-sha256", b"x")
    with pytest.raises(Unsupported, match="EUCLEAK"):
        made(store, "9c")
    with pytest.raises(Unsupported, match=r"ed25519 needs firmware 5\.7"):
        made(store, "9c", "ed25519")

    (key,) = store.keys()
    assert () == key.algorithms
    assert "EUCLEAK" in key.details["refused"]
    assert ("rsa-2048",) == store.state().key_types


def test_rsa_is_not_made_on_firmware_that_makes_it_badly(tmp_path):
    """ROCA: the card would do it."""
    card = new_card(version=(4, 3, 4))
    store = open_bench(tmp_path, Rack(card))

    with pytest.raises(Unsupported, match="ROCA"):
        store.generate(NewKey("9a", "rsa-2048"))

    assert [] == card.exchanges(GENERATE)
    assert () == store.state().key_types
