"""A person changes and unblocks PINs."""

import pytest

from hsm_agent.stores.piv.preparing import (
    change_pin,
    change_puk,
    set_tries,
    unblock_pin,
)
from hsm_agent.stores.store import (
    PinLocked,
    StoreError,
    Unsupported,
)
from tests.hsm_agent.piv_bench import (
    PIN,
    PUK,
    Rack,
    made,
    new_card,
    open_bench,
)


def secrets_of(card):
    memory = card.memory
    return (
        memory.pin.value.rstrip(b"\xff").decode(),
        memory.puk.value.rstrip(b"\xff").decode(),
        memory.management.value,
    )


def test_the_pin_is_changed_and_its_file_with_it(tmp_path):
    """The agent goes on signing."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))
    made(store)

    change_pin(store, PIN, "555777")

    assert "555777" == secrets_of(card)[0]
    assert "555777" == (tmp_path / "pin").read_text(encoding="ascii").strip()
    assert store.sign("9a", "ecdsa-sha256", b"x")


def test_a_pin_file_of_another_pin_is_left_alone(tmp_path):
    """It is not ours to correct."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))
    (tmp_path / "pin").write_text("121212", encoding="ascii")

    change_pin(store, PIN, "555777")

    assert "121212" == (tmp_path / "pin").read_text(encoding="ascii")


def test_a_wrong_old_value_costs_one_try_and_says_how_many_are_left(tmp_path):
    """Never the last one."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))

    for left in (2, 1):
        with pytest.raises(StoreError, match=f"the PIN is wrong, {left} tries left"):
            change_pin(store, "999999", "555777")
    with pytest.raises(PinLocked, match="takes 1 more PINs"):
        change_pin(store, PIN, "555777")
    for left in (2, 1):
        with pytest.raises(StoreError, match=f"the PUK is wrong, {left} tries left"):
            change_puk(store, "99999999", "55557777")
    with pytest.raises(PinLocked, match="takes 1 more PUKs"):
        unblock_pin(store, PUK, "555777")

    assert (1, 1) == (card.memory.pin.left, card.memory.puk.left)
    assert (PIN, PUK) == secrets_of(card)[:2]


def test_a_blocked_pin_is_unblocked_by_the_puk(tmp_path):
    """And the file has the new one."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))
    made(store)
    card.memory.pin.left = 0

    unblock_pin(store, PUK, "555777")

    assert ("555777", 3) == (secrets_of(card)[0], card.memory.pin.left)
    assert store.sign("9a", "ecdsa-sha256", b"x")
    change_puk(store, PUK, "31415926")
    assert "31415926" == secrets_of(card)[1]


def test_the_numbers_of_tries_are_set_without_leaving_the_factorys_values(tmp_path):
    """The card puts both back; they are changed at once."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))

    set_tries(store, PIN, PUK, (10, 6))

    assert (10, 6) == (card.memory.pin.total, card.memory.puk.total)
    assert (PIN, PUK) == secrets_of(card)[:2]
    with pytest.raises(Unsupported, match="3 to 15"):
        set_tries(store, PIN, PUK, (1, 6))
