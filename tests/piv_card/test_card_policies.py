"""PIN and touch policies of the virtual card's keys."""

import pytest
from cryptography.hazmat.primitives import hashes
from yubikit.core.smartcard import ApduError
from yubikit.piv import (
    DEFAULT_MANAGEMENT_KEY,
    KEY_TYPE,
    PIN_POLICY,
    SLOT,
    TOUCH_POLICY,
    PivSession,
)

from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.surroundings import Surroundings

FAILS = 0x6982


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def with_key(card, pin, touch=TOUCH_POLICY.NEVER):
    """Return a session, without PIN, of a card with a key in 9A."""
    session = PivSession(InProcessConnection(card))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256, pin, touch)
    return PivSession(InProcessConnection(card))


def sign(session):
    """Return the status of a signature."""
    try:
        session.sign(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256, b"m", hashes.SHA256())
    except ApduError as refused:
        return refused.sw
    return 0x9000


def test_policy_never_needs_no_pin():
    """Whoever holds the card signs."""
    session = with_key(VirtualYubiKey(), PIN_POLICY.NEVER)

    assert 0x9000 == sign(session)


def test_policy_once_lasts_until_the_applet_is_selected_again():
    """Another program on the card, or a second session, ends it."""
    card = VirtualYubiKey()
    session = with_key(card, PIN_POLICY.ONCE)
    assert FAILS == sign(session)

    session.verify_pin("123456")

    assert [0x9000] * 3 == [sign(session) for _ in range(3)]
    PivSession(InProcessConnection(card))
    assert FAILS == sign(session)


def test_policy_always_serves_one_signature():
    """The PIN has to come anew each time."""
    session = with_key(VirtualYubiKey(), PIN_POLICY.ALWAYS)
    session.verify_pin("123456")

    statuses = [sign(session), sign(session)]

    assert [0x9000, FAILS] == statuses
    session.verify_pin("123456")
    assert 0x9000 == sign(session)


def test_policy_always_wants_the_pin_immediately_before():
    """Any other command between ends it, even one that only reads."""
    session = with_key(VirtualYubiKey(), PIN_POLICY.ALWAYS)
    session.verify_pin("123456")

    session.get_slot_metadata(SLOT.AUTHENTICATION)

    assert FAILS == sign(session)


def test_a_key_that_wants_touch_is_asked_about_each_time():
    """The slot is told to whoever plays the finger."""
    asked = []
    card = VirtualYubiKey(touch=lambda slot: asked.append(slot) or True)
    session = with_key(card, PIN_POLICY.NEVER, TOUCH_POLICY.ALWAYS)

    statuses = [sign(session), sign(session)]

    assert [0x9000, 0x9000] == statuses
    assert [0x9A, 0x9A] == asked


def test_without_touch_in_time_nothing_is_signed():
    """6982, as far as is known; the next touch serves the next try."""
    card = VirtualYubiKey(touch=lambda _slot: False)
    session = with_key(card, PIN_POLICY.NEVER, TOUCH_POLICY.ALWAYS)
    assert FAILS == sign(session)

    card.touch = lambda _slot: True

    assert 0x9000 == sign(session)


def test_the_pin_is_checked_before_anybody_is_asked_to_touch():
    """No blinking for who may not sign."""
    asked = []
    card = VirtualYubiKey(touch=lambda slot: asked.append(slot) or True)
    session = with_key(card, PIN_POLICY.ONCE, TOUCH_POLICY.ALWAYS)

    assert FAILS == sign(session)

    assert [] == asked


def test_a_cached_touch_lasts_fifteen_seconds():
    """Then it is asked for again."""
    clock, asked = Seconds(), []
    card = VirtualYubiKey(
        touch=lambda slot: asked.append(slot) or True, surroundings=Surroundings(monotonic=clock)
    )
    session = with_key(card, PIN_POLICY.NEVER, TOUCH_POLICY.CACHED)

    for seconds in (0, 14.9, 0.2, 10):
        clock.now += seconds
        assert 0x9000 == sign(session)

    assert [0x9A, 0x9A] == asked


def test_a_cached_touch_is_lost_with_the_power():
    """A card that was pulled and returned asks again."""
    asked = []
    card = VirtualYubiKey(touch=lambda slot: asked.append(slot) or True)
    session = with_key(card, PIN_POLICY.NEVER, TOUCH_POLICY.CACHED)
    sign(session)

    card.unplug()
    card.plug()

    assert 0x9000 == sign(PivSession(InProcessConnection(card)))
    assert [0x9A, 0x9A] == asked


def test_cached_touch_is_too_new_for_firmware_4_2():
    """4.3 brought it."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=(4, 2, 6))))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    with pytest.raises(ApduError, match="6a80"):
        session.protocol.send_apdu(0, 0x47, 0, 0x9A, bytes.fromhex("ac06800111ab0103"))
