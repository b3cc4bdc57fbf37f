"""A person prepares a card: off the factory's values, new PINs, unblocking."""

import pytest
from yubikit.piv import DEFAULT_MANAGEMENT_KEY

from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.preparing import (
    Fresh,
    change_management_key,
    initialise,
)
from hsm_agent.stores.store import (
    PinNeeded,
    StoreError,
    TokenAbsent,
    Unsupported,
)
from tests.hsm_agent.piv_bench import (
    MANAGEMENT_KEY,
    PIN,
    PUK,
    RSA_KEYS,
    SERIAL,
    Rack,
    made,
    new_card,
    open_bench,
    verifies,
)
from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.secret_values import ManagementKeyType


def factory_card(**how):
    return VirtualYubiKey(**{"serial": SERIAL, "fixed_keys": RSA_KEYS, **how})


def factory_bench(tmp_path, card, **settings):
    """Open a store of a new card: neither PIN nor management key are in any file."""
    store = open_bench(tmp_path, Rack(card), **settings)
    (tmp_path / "pin").unlink()
    (tmp_path / "management-key").unlink()
    return store


def secrets_of(card):
    memory = card.memory
    return (
        memory.pin.value.rstrip(b"\xff").decode(),
        memory.puk.value.rstrip(b"\xff").decode(),
        memory.management.value,
    )


@pytest.mark.parametrize(
    ("version", "kind"),
    [((5, 7, 1), ManagementKeyType.AES256), ((5, 4, 3), ManagementKeyType.AES256)],
)
def test_a_fresh_card_is_ready_after_one_deed(tmp_path, version, kind):
    """PIN, PUK, a random management key in a file for the owner alone, tries, and a key."""
    card = factory_card(version=version)
    store = factory_bench(tmp_path, card)
    assert "pin-needed" == store.state().state

    told = initialise(store, Fresh(PIN, PUK, tries=(8, 5)))

    pin, puk, key = secrets_of(card)
    assert ((PIN, PUK), kind) == ((pin, puk), card.memory.management.type)
    assert (8, 5) == (card.memory.pin.total, card.memory.puk.total)
    for file, text in (("pin", PIN), ("management-key", key.hex())):
        assert text == (tmp_path / file).read_text(encoding="ascii").strip()
        assert 0o600 == (tmp_path / file).stat().st_mode & 0o777
    assert ["management-key", "pin", "roots.pem"] == sorted(
        path.name for path in tmp_path.iterdir()
    )
    assert 4 == len(told)
    assert PIN not in "".join(told)
    assert key.hex() not in "".join(told)
    public_key = made(store, "9c", "rsa-2048")
    assert verifies(public_key, "rsa-sha256", b"x", store.sign("9c", "rsa-sha256", b"x"))


def test_two_cards_get_two_management_keys(tmp_path):
    """It is random."""
    keys = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        card = factory_card()
        initialise(factory_bench(tmp_path / name, card), Fresh(PIN, PUK))
        keys.add(secrets_of(card)[2])

    assert 2 == len(keys)
    assert DEFAULT_MANAGEMENT_KEY not in keys


def test_what_was_changed_before_stays_so_that_a_repetition_ends_the_work(tmp_path):
    """Interrupted after each step: the card says which values are still the factory's."""
    card = factory_card()
    store = factory_bench(tmp_path, card)
    card.memory.puk.set(b"11112222")

    assert ("the PIN is new",) == initialise(store, Fresh(PIN, PUK))[:1]
    assert (PIN, "11112222") == secrets_of(card)[:2]

    before = secrets_of(card)
    assert () == initialise(store, Fresh("777888", "99990000"))
    assert before == secrets_of(card)


@pytest.mark.parametrize(
    ("pin", "puk"),
    [
        ("123456", PUK),
        (PIN, "12345678"),
        ("000000", PUK),
        (PIN, "aaaaaaaa"),
        ("12345", PUK),
        ("123456789", PUK),
        ("462é13", PUK),
        ("84736251", "84736251"),
    ],
)
def test_values_that_everybody_tries_first_are_not_set(tmp_path, pin, puk):
    """Before the card hears anything."""
    card = factory_card()
    store = factory_bench(tmp_path, card)

    with pytest.raises(StoreError):
        initialise(store, Fresh(pin, puk))

    assert [] == card.log


def test_secrets_do_not_show_in_a_traceback():
    """The values of a dataclass are printed by everything."""
    assert PIN not in repr(Fresh(PIN, PUK))
    assert PUK not in repr(Fresh(PIN, PUK))


def test_the_management_key_may_lie_on_the_card_behind_the_pin(tmp_path):
    """As ykman keeps it: no file, and the PIN makes keys."""
    card = factory_card()
    store = factory_bench(tmp_path, card, management_key_file=None)

    initialise(store, Fresh(PIN, PUK, on_card=True))

    assert not (tmp_path / "management-key").exists()
    made(store)
    store.close()
    made(open_bench(tmp_path, Rack(card), management_key_file=None), "9c")


def test_without_a_place_for_it_the_management_key_stays(tmp_path):
    """A random key that nobody wrote down could never be proven again."""
    card = factory_card()
    store = factory_bench(tmp_path, card, management_key_file=None)

    with pytest.raises(Unsupported, match="set management-key-file"):
        initialise(store, Fresh(PIN, PUK))

    assert DEFAULT_MANAGEMENT_KEY == secrets_of(card)[2]


def test_a_management_key_is_on_disk_before_the_card_has_it(tmp_path, monkeypatch):
    """A crash in between leaves both: the store finds out which one the card took."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))
    real = Card.asked

    def power_cut(self, deed):
        if "new management key" in deed:
            with real(self, deed) as session:
                session.set_management_key(ManagementKeyType.AES256, next_key(tmp_path))
            raise KeyboardInterrupt
        return real(self, deed)

    with monkeypatch.context() as patched:
        patched.setattr(Card, "asked", power_cut)
        with pytest.raises(KeyboardInterrupt):
            change_management_key(store)

    assert MANAGEMENT_KEY.hex() == (tmp_path / "management-key").read_text().strip()
    made(store)
    assert secrets_of(card)[2].hex() == (tmp_path / "management-key").read_text().strip()
    assert not (tmp_path / "management-key.next").exists()


def next_key(tmp_path):
    """Return the key that is about to be set."""
    return bytes.fromhex((tmp_path / "management-key.next").read_text())


def test_the_management_key_is_changed_and_moved(tmp_path):
    """File to card, and back to the file."""
    card = new_card()
    store = open_bench(tmp_path, Rack(card))

    assert "lies on the card" in change_management_key(store, on_card=True)
    assert MANAGEMENT_KEY != secrets_of(card)[2]
    (tmp_path / "management-key").unlink()
    made(store)

    assert "management-key" in change_management_key(store)
    assert secrets_of(card)[2].hex() == (tmp_path / "management-key").read_text().strip()
    assert 0x5FC109 not in card.memory.objects
    made(store, "9c")


def test_an_old_card_is_prepared_by_trying(tmp_path):
    """Before firmware 5.3 nothing tells what is the factory's."""
    card = factory_card(version=(5, 2, 4))
    store = factory_bench(tmp_path, card)

    assert 3 == len(initialise(store, Fresh(PIN, PUK)))
    assert (PIN, PUK) == secrets_of(card)[:2]
    assert ManagementKeyType.TDES == card.memory.management.type

    told = initialise(store, Fresh("777888", "99990000"))
    assert (
        "the PIN was not the factory's, and stays",
        "the PUK was not the factory's, and stays",
    ) == told
    assert (PIN, PUK) == secrets_of(card)[:2]


def test_an_absent_card_is_not_prepared(tmp_path):
    """Nothing is written for a card that is not there."""
    card = factory_card()
    store = factory_bench(tmp_path, card)
    card.unplug()

    with pytest.raises(TokenAbsent):
        initialise(store, Fresh(PIN, PUK))
    assert not (tmp_path / "pin").exists()


def test_a_refused_pin_says_that_the_card_wants_a_better_one(tmp_path, monkeypatch):
    """Firmware 5.7 can be told to refuse simple PINs."""
    card = factory_card()
    store = factory_bench(tmp_path, card)
    monkeypatch.setattr("tests.virtual_yubikey.secret_values.SHORTEST", 8)

    with pytest.raises(StoreError, match=r"change the factory's PIN: status 6985: .* simple"):
        initialise(store, Fresh(PIN, PUK))
    with pytest.raises(PinNeeded):
        made(store)
