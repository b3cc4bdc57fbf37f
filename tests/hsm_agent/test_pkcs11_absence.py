"""A token that is taken out and put back, at rest and under load."""

import pytest

from hsm_agent.stores.pkcs11.opening import open_store
from hsm_agent.stores.store import NewKey, StoreError, TokenAbsent
from pikaserver.testing.patience import until
from tests.hsm_agent.callers import Callers, verify
from tests.hsm_agent.softhsm import make_softhsm

TBS = b"to be signed"


@pytest.fixture
def softhsm(tmp_path):
    return make_softhsm(tmp_path / "softhsm")


@pytest.fixture
def store(softhsm):
    store = softhsm.open()
    store.generate(NewKey("issuing-1", "ec-p256"))
    yield store
    store.close()


def await_state(store, state):
    """Wait until the store is in a state; every look at it may be the first to notice."""
    until(lambda: store.state().state == state, f"the state {state}")


def test_a_removed_token_is_noticed_and_so_is_its_return(store, softhsm):
    """Looking is enough for both, and takes no PIN."""
    assert "ready" == store.state().state

    softhsm.remove()
    await_state(store, "absent")
    with pytest.raises(TokenAbsent, match="no token that matches"):
        store.keys()
    with pytest.raises(TokenAbsent):
        store.sign("issuing-1", "ecdsa-sha256", TBS)
    softhsm.put_back()
    await_state(store, "ready")

    assert ["issuing-1"] == [key.label for key in store.keys()]
    assert store.sign("issuing-1", "ecdsa-sha256", TBS)


def test_a_token_that_was_away_between_two_requests_is_opened_again(store, softhsm):
    """Nobody looked meanwhile: the first request afterwards succeeds."""
    store.sign("issuing-1", "ecdsa-sha256", TBS)

    softhsm.remove()
    softhsm.put_back()

    assert store.sign("issuing-1", "ecdsa-sha256", TBS)


@pytest.mark.usefixtures("store")
def test_an_agent_that_starts_without_token_waits_for_it(softhsm, tmp_path):
    """The start is not stopped, and nothing is unlocked before somebody asks for it."""
    softhsm.remove()
    other = softhsm.open(tmp_path / "other")

    assert "absent" == other.state().state
    assert not other.state().key_types
    with pytest.raises(TokenAbsent):
        other.generate(NewKey("issuing-2", "ec-p256"))
    softhsm.put_back()

    await_state(other, "ready")
    assert ["issuing-1"] == [key.label for key in other.keys()]
    other.close()


def test_an_empty_answer_of_a_lost_token_is_not_taken_for_no_keys(store, softhsm):
    """SoftHSM finds nothing in a token that has gone: that is absence, not an empty token."""
    store.keys()

    softhsm.remove()

    with pytest.raises(TokenAbsent):
        store.keys()


def test_another_token_of_the_same_name_is_asked_for_its_keys_anew(store, softhsm, tmp_path):
    """Handles of the old one mean nothing there: the key is searched for, and is not there."""
    store.sign("issuing-1", "ecdsa-sha256", TBS)
    other = make_softhsm(tmp_path / "other")

    softhsm.remove()
    other.token_folder.rename(softhsm.folder / "tokens" / other.token_folder.name)

    with pytest.raises(StoreError) as caught:
        store.sign("issuing-1", "ecdsa-sha256", TBS)
    assert caught.value.code in {"unknown-key", "token-absent"}
    await_state(store, "ready")
    assert [] == store.keys()


@pytest.mark.usefixtures("store")
def test_two_tokens_that_match_are_not_guessed_between(softhsm, tmp_path):
    """A label is no identity; the serial number is."""
    other = make_softhsm(tmp_path / "other")
    serial = other.python("print(token.serial.decode())").strip()
    other.token_folder.rename(softhsm.folder / "tokens" / other.token_folder.name)

    by_label = softhsm.open(tmp_path / "by-label")
    with pytest.raises(TokenAbsent, match="2 tokens match the settings"):
        by_label.keys()
    by_label.close()

    settings = softhsm.settings(serial=serial)
    del settings["token"]
    by_serial = open_store(settings, tmp_path / "by-serial")
    assert [] == by_serial.keys()
    assert serial == by_serial.state().details["serial"]
    by_serial.close()


@pytest.mark.usefixtures("store")
def test_a_token_is_found_by_its_slot(softhsm, tmp_path):
    """For modules whose tokens have neither a label nor a serial number of their own."""
    slot = int(softhsm.python("print(token.slot.slot_id)"))
    settings = softhsm.settings(slot=slot)
    del settings["token"]

    by_slot = open_store(settings, tmp_path / "by-slot")

    assert ["issuing-1"] == [key.label for key in by_slot.keys()]
    by_slot.close()


def test_a_token_taken_out_and_put_back_under_load_gives_no_wrong_answer(store, softhsm):
    """Eight callers get signatures, or are told that the token is absent, and sign again after."""
    callers = Callers(store, 8)
    for _ in range(5):
        callers.await_outcome("signed")
        softhsm.remove()
        callers.await_outcome("token-absent")
        softhsm.put_back()
    callers.await_outcome("signed")

    outcomes = callers.end()

    assert {"signed", "token-absent"} == set(outcomes)
    assert "ready" == store.state().state


def test_no_pin_is_wasted_by_removals(softhsm):
    """Each return is one login, and the token counts no wrong one."""
    store = softhsm.open_spied()
    store.keys()

    for _ in range(3):
        softhsm.remove()
        await_state(store, "absent")
        softhsm.put_back()
        await_state(store, "ready")
        store.keys()
    store.close()

    assert 4 == softhsm.logins
    assert (
        "0"
        == softhsm.python("print(int(bool(token.flags & TokenFlag.USER_PIN_COUNT_LOW)))").strip()
    )


def test_a_token_without_login_is_found_again_as_well(softhsm):
    """Its keys are searched for in the new session: an old handle may be another key there."""
    softhsm.python(
        """
for name in ("first", "second"):
    session.generate_keypair(
        KeyType.EC, id=name.encode(), label=name, store=True,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        public_template={Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")},
        private_template={Attribute.PRIVATE: False},
    )
"""
    )
    settings = softhsm.settings(login=False)
    del settings["pin-file"]
    open_token = open_store(settings, softhsm.folder / "agent")

    for _ in range(3):
        for name in ("first", "second"):
            verify(open_token, name, open_token.sign(name, "ecdsa-sha256", TBS))
        softhsm.remove()
        await_state(open_token, "absent")
        softhsm.put_back()
        await_state(open_token, "ready")
    with pytest.raises(StoreError):
        open_token.generate(NewKey("third", "ec-p256"))
    open_token.close()
