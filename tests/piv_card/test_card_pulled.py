"""The virtual card is pulled, put back, slow, and remembered by a file."""

import threading

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from smartcard.Exceptions import CardConnectionException, NoCardException
from yubikit.core.smartcard import ApduError
from yubikit.piv import (
    DEFAULT_MANAGEMENT_KEY,
    KEY_TYPE,
    MANAGEMENT_KEY_TYPE,
    PIN_POLICY,
    SLOT,
    TOUCH_POLICY,
    PivSession,
)

from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.keys import KeyType

REMOVED = 0x80100069


def with_key(card, pin=PIN_POLICY.NEVER, touch=TOUCH_POLICY.NEVER):
    session = PivSession(InProcessConnection(card))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256, pin, touch)
    return session


def sign(session):
    return session.sign(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256, b"m", hashes.SHA256())


def test_a_pulled_card_fails_as_pyscard_says_it():
    """The old connection stays dead when the card is back; a new one signs."""
    card = VirtualYubiKey()
    session = with_key(card)

    card.unplug()

    with pytest.raises(CardConnectionException) as removed:
        sign(session)
    assert REMOVED == removed.value.hresult
    with pytest.raises(NoCardException):
        InProcessConnection(card)
    card.plug()
    with pytest.raises(CardConnectionException):
        sign(session)
    assert sign(PivSession(InProcessConnection(card)))


def test_a_returned_card_wants_the_pin_again():
    """It was without power."""
    card = VirtualYubiKey()
    session = with_key(card, PIN_POLICY.ONCE)
    session.verify_pin("123456")

    card.unplug()
    card.plug()

    with pytest.raises(ApduError, match="6982"):
        sign(PivSession(InProcessConnection(card)))


def test_pulling_ends_what_the_card_is_doing():
    """A signature that takes a minute fails at once."""
    card, started, failures = VirtualYubiKey(), threading.Event(), []
    session = with_key(card, touch=TOUCH_POLICY.ALWAYS)
    card.delay[KeyType.ECCP256] = 60
    card.touch = lambda _slot: started.set() or True

    def work():
        try:
            sign(session)
        except CardConnectionException as removed:
            failures.append(removed.hresult)

    worker = threading.Thread(target=work)
    worker.start()
    assert started.wait(10)

    card.unplug()

    worker.join(10)
    assert not worker.is_alive()
    assert [REMOVED] == failures


def test_fixed_keys_are_handed_out_in_turn():
    """Then new ones are made."""
    fixed = [rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)]
    session = PivSession(InProcessConnection(VirtualYubiKey(fixed_keys={KeyType.RSA2048: fixed})))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    made = [session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.RSA2048) for _ in range(3)]

    assert [key.public_key() for key in fixed] == made[:2]
    assert made[2] not in made[:2]


def test_a_file_remembers_all(tmp_path):
    """Keys, policies, objects, secrets and counters come back in another card of that file."""
    file = tmp_path / "card.json"
    session = with_key(VirtualYubiKey(state=file), PIN_POLICY.ONCE)
    session.put_object(0x5FFF11, b"kept")
    session.change_pin("123456", "654321")
    session.set_management_key(MANAGEMENT_KEY_TYPE.AES256, bytes(range(32)), require_touch=True)
    with pytest.raises(ApduError):
        session.protocol.send_apdu(0, 0x20, 0, 0x80, b"wrong567")
    told = session.get_slot_metadata(SLOT.AUTHENTICATION)
    f9 = session.get_certificate(SLOT.ATTESTATION)

    again = PivSession(InProcessConnection(VirtualYubiKey(state=file)))

    assert told == again.get_slot_metadata(SLOT.AUTHENTICATION)
    assert b"kept" == again.get_object(0x5FFF11)
    assert 2 == again.get_pin_attempts()
    again.verify_pin("654321")
    again.authenticate(bytes(range(32)))
    told.public_key.verify(sign(again), b"m", ec.ECDSA(hashes.SHA256()))
    assert f9 == again.get_certificate(SLOT.ATTESTATION)


def test_the_log_tells_what_was_sent():
    """So a test can count the tries of a PIN."""
    card = VirtualYubiKey()
    session = PivSession(InProcessConnection(card))

    session.verify_pin("123456")

    (tried,) = card.exchanges(0x20)
    assert b"123456\xff\xff" == tried.command[-8:]
    assert 0x9000 == tried.status
    assert card.process(b"") == b"\x67\x00"
    assert card.log[-1].ins is None
