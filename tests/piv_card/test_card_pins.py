"""PIN and PUK of the virtual card: counted, blocked, changed and reset."""

import pytest
from yubikit.core import TRANSPORT, InvalidPinError, NotSupportedError
from yubikit.core.smartcard import ApduError
from yubikit.piv import DEFAULT_MANAGEMENT_KEY, KEY_TYPE, SLOT, PivSession

from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection

PIN, PUK = "123456", "12345678"


@pytest.fixture
def card():
    """Give a new card."""
    return VirtualYubiKey()


@pytest.fixture(params=TRANSPORT)
def piv(card, request):
    """Give a session with it."""
    return PivSession(InProcessConnection(card, request.param))


def wrong_pins(session, number):
    """Try wrong PINs and return the tries left after each."""
    left = []
    for _ in range(number):
        with pytest.raises(InvalidPinError) as wrong:
            session.verify_pin("000000")
        left.append(wrong.value.attempts_remaining)
    return left


def test_a_wrong_pin_counts_down_and_a_right_one_fills_up(piv, card):
    """63C2, 63C1, then all three again."""
    left = wrong_pins(piv, 2)

    assert [2, 1] == left
    assert [0x63C2, 0x63C1] == [exchange.status for exchange in card.exchanges(0x20)]
    piv.verify_pin(PIN)
    assert (3, 3) == (
        piv.get_pin_metadata().total_attempts,
        piv.get_pin_metadata().attempts_remaining,
    )


def test_a_blocked_pin_is_not_even_looked_at(piv, card):
    """After the third wrong one the right one is refused as well, with 6983."""
    wrong_pins(piv, 3)

    with pytest.raises(InvalidPinError) as blocked:
        piv.verify_pin(PIN)

    assert 0 == blocked.value.attempts_remaining
    assert 0x6983 == card.log[-1].status
    assert 0 == piv.get_pin_attempts()


def test_the_puk_gives_a_new_pin(piv):
    """A blocked PIN comes back with all tries."""
    wrong_pins(piv, 3)

    piv.unblock_pin(PUK, "654321")

    piv.verify_pin("654321")
    assert not piv.get_pin_metadata().default_value


def test_a_wrong_puk_counts_down_and_blocks(piv, card):
    """Its own counter, in RESET RETRY and CHANGE REFERENCE alike."""
    with pytest.raises(InvalidPinError):
        piv.unblock_pin("00000000", "654321")
    with pytest.raises(InvalidPinError):
        piv.change_puk("00000000", "87654321")
    with pytest.raises(InvalidPinError):
        piv.unblock_pin("00000000", "654321")

    with pytest.raises(InvalidPinError):
        piv.unblock_pin(PUK, "654321")

    assert 0x6983 == card.log[-1].status
    assert 0 == piv.get_puk_metadata().attempts_remaining


def test_pin_and_puk_are_changed_by_the_old_ones(piv):
    """And are no longer the factory's."""
    piv.change_pin(PIN, "654321")
    piv.change_puk(PUK, "87654321")

    piv.verify_pin("654321")
    piv.unblock_pin("87654321", "112233")
    piv.verify_pin("112233")
    assert not piv.get_pin_metadata().default_value
    assert not piv.get_puk_metadata().default_value


@pytest.mark.parametrize("new", ["12345", "", "12\xff456"])
def test_a_pin_that_is_too_short_is_not_taken(piv, new):
    """6985; the old one goes on."""
    with pytest.raises(ApduError, match="6985"):
        piv.protocol.send_apdu(
            0, 0x24, 0, 0x80, b"123456\xff\xff" + new.encode("latin-1").ljust(8, b"\xff")
        )

    piv.verify_pin(PIN)


def test_new_counts_put_the_factorys_values_back(piv):
    """Both values, which is easily forgotten."""
    piv.change_pin(PIN, "654321")
    piv.change_puk(PUK, "87654321")
    piv.authenticate(DEFAULT_MANAGEMENT_KEY)
    piv.verify_pin("654321")

    piv.set_pin_attempts(5, 8)

    pin, puk = piv.get_pin_metadata(), piv.get_puk_metadata()
    assert (True, 5, 5) == (pin.default_value, pin.total_attempts, pin.attempts_remaining)
    assert (True, 8, 8) == (puk.default_value, puk.total_attempts, puk.attempts_remaining)
    piv.verify_pin(PIN)


@pytest.mark.parametrize("shown", ["pin", "management"])
def test_new_counts_want_both_secrets(piv, shown):
    """PIN and management key."""
    if shown == "pin":
        piv.verify_pin(PIN)
    else:
        piv.authenticate(DEFAULT_MANAGEMENT_KEY)

    with pytest.raises(ApduError, match="6982"):
        piv.set_pin_attempts(5, 8)


def test_more_than_fifteen_tries_are_told_as_fifteen(piv):
    """A nibble holds no more; the metadata does."""
    piv.authenticate(DEFAULT_MANAGEMENT_KEY)
    piv.verify_pin(PIN)
    piv.set_pin_attempts(200, 3)

    assert [15] == wrong_pins(piv, 1)

    assert 199 == piv.get_pin_metadata().attempts_remaining


def test_only_a_blocked_card_is_reset_and_keeps_its_attestation(piv, card):
    """Keys and objects go, f9 and its certificate stay."""
    piv.authenticate(DEFAULT_MANAGEMENT_KEY)
    piv.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256)
    piv.put_object(0x5FC102, b"chuid")
    f9 = piv.get_certificate(SLOT.ATTESTATION)
    with pytest.raises(ApduError, match="6985"):
        piv.protocol.send_apdu(0, 0xFB, 0, 0)

    piv.reset()

    assert 3 == piv.get_pin_attempts()
    assert f9 == piv.get_certificate(SLOT.ATTESTATION)
    assert [0xF9] == list(card.memory.keys)
    with pytest.raises(ApduError, match="6a82"):
        piv.get_object(0x5FC102)


def test_old_firmware_is_reset_too():
    """Without metadata yubikit counts by what the card answers."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=(4, 3, 5))))

    session.reset()

    session.verify_pin(PIN)


def test_without_metadata_the_tries_are_asked_by_an_empty_verify():
    """9000 once it is proven: the true number is not told any more."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=(5, 2, 7))))
    wrong_pins(session, 1)

    assert 2 == session.get_pin_attempts()

    with pytest.raises(NotSupportedError):
        session.get_pin_metadata()


def test_a_pin_is_forgotten_on_demand_on_select_and_after_a_wrong_one(piv, card):
    """Whatever ends the proof, an empty VERIFY tells."""
    ends = [
        lambda: piv.protocol.send_apdu(0, 0x20, 0xFF, 0x80),
        lambda: piv.protocol.select(bytes.fromhex("a000000308")),
        lambda: piv.protocol.select(bytes.fromhex("a000000527471117")),
        lambda: wrong_pins(piv, 1),
        card.reset,
    ]
    for end in ends:
        piv.verify_pin(PIN)
        end()
        piv.protocol.select(bytes.fromhex("a000000308"))
        with pytest.raises(ApduError, match="63c"):
            piv.protocol.send_apdu(0, 0x20, 0, 0x80)


def test_other_references_are_unknown(piv):
    """No fingerprint reader, no global PIN."""
    with pytest.raises(NotSupportedError):
        piv.verify_uv()
    with pytest.raises(NotSupportedError):
        piv.get_bio_metadata()
    with pytest.raises(ApduError, match="6a88"):
        piv.protocol.send_apdu(0, 0x24, 0, 0x00, bytes(16))
