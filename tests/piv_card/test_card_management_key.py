"""The management key of the virtual card."""

import pytest
from yubikit.core import TRANSPORT, BadResponseError, NotSupportedError
from yubikit.core.smartcard import ApduError
from yubikit.piv import (
    DEFAULT_MANAGEMENT_KEY,
    KEY_TYPE,
    MANAGEMENT_KEY_TYPE,
    SLOT,
    TOUCH_POLICY,
    PivSession,
)

from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.secret_values import ManagementKey, ManagementKeyType


@pytest.mark.parametrize("transport", TRANSPORT)
@pytest.mark.parametrize("key_type", MANAGEMENT_KEY_TYPE)
def test_the_key_changes_between_all_ciphers(key_type, transport):
    """A new session proves the new one; the old one is refused."""
    card = VirtualYubiKey()
    new = bytes(range(key_type.key_len))
    session = PivSession(InProcessConnection(card, transport))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    session.set_management_key(key_type, new)

    session = PivSession(InProcessConnection(card, transport))
    told = session.get_management_key_metadata()
    assert (key_type, False) == (told.key_type, told.default_value)
    session.authenticate(new)
    session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256)
    if key_type.key_len == len(DEFAULT_MANAGEMENT_KEY):
        with pytest.raises((ApduError, BadResponseError)):
            session.authenticate(DEFAULT_MANAGEMENT_KEY)


@pytest.mark.parametrize(
    ("version", "key_type"),
    [
        ((5, 7, 1), MANAGEMENT_KEY_TYPE.AES192),
        ((5, 6, 0), MANAGEMENT_KEY_TYPE.TDES),
        ((4, 3, 5), MANAGEMENT_KEY_TYPE.TDES),
    ],
)
def test_the_factorys_cipher_depends_on_the_firmware(version, key_type):
    """The same 24 octets, AES since 5.7."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=version)))

    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    assert key_type == session.management_key_type


def test_aes_is_too_new_for_firmware_before_5_4():
    """The client does not ask; who asks all the same gets 6A80."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=(5, 2, 7))))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    with pytest.raises(NotSupportedError):
        session.set_management_key(MANAGEMENT_KEY_TYPE.AES128, bytes(16))
    with pytest.raises(ApduError, match="6a80"):
        session.protocol.send_apdu(0, 0xFF, 0xFF, 0xFF, b"\x08\x9b\x10" + bytes(16))


def test_a_wrong_key_opens_nothing():
    """And closes what was open."""
    card = VirtualYubiKey()
    session = PivSession(InProcessConnection(card))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    with pytest.raises(ApduError, match="6982"):
        session.authenticate(bytes(24))

    with pytest.raises(ApduError, match="6982"):
        session.put_object(0x5FC102, b"x")


def test_a_client_may_prove_it_alone():
    """The card's challenge, encrypted: no proof by the card is asked for."""
    session = PivSession(InProcessConnection(VirtualYubiKey()))
    key = ManagementKey(ManagementKeyType.AES192, DEFAULT_MANAGEMENT_KEY)

    asked = session.protocol.send_apdu(0, 0x87, 0x0A, 0x9B, bytes.fromhex("7c028100"))
    answer = key.encrypt(asked[4:])
    session.protocol.send_apdu(0, 0x87, 0x0A, 0x9B, b"\x7c\x12\x82\x10" + answer)

    session.put_object(0x5FC102, b"x")


def test_an_answer_serves_once():
    """A challenge is used up, whatever the answer was."""
    session = PivSession(InProcessConnection(VirtualYubiKey()))
    key = ManagementKey(ManagementKeyType.AES192, DEFAULT_MANAGEMENT_KEY)
    asked = session.protocol.send_apdu(0, 0x87, 0x0A, 0x9B, bytes.fromhex("7c028100"))
    answer = b"\x7c\x12\x82\x10" + key.encrypt(asked[4:])
    session.protocol.send_apdu(0, 0x87, 0x0A, 0x9B, answer)

    with pytest.raises(ApduError, match="6982"):
        session.protocol.send_apdu(0, 0x87, 0x0A, 0x9B, answer)


def test_a_key_that_wants_a_touch_is_refused_without_one():
    """The metadata tells the policy."""
    card = VirtualYubiKey()
    session = PivSession(InProcessConnection(card))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    session.set_management_key(MANAGEMENT_KEY_TYPE.AES256, bytes(32), require_touch=True)
    assert TOUCH_POLICY.ALWAYS == session.get_management_key_metadata().touch_policy

    card.touch = lambda slot: slot != 0x9B

    with pytest.raises(ApduError, match="6982"):
        session.authenticate(bytes(32))
