"""The virtual card as a device: its applets, and what each firmware knows."""

import pytest
from yubikit.core import PID, TRANSPORT, ApplicationNotAvailableError, NotSupportedError, Version
from yubikit.core.smartcard import AID, ApduError, SmartCardProtocol
from yubikit.management import CAPABILITY, FORM_FACTOR, ManagementSession
from yubikit.piv import DEFAULT_MANAGEMENT_KEY, KEY_TYPE, SLOT, PivSession
from yubikit.support import get_name, read_info

from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection

INSTRUCTIONS = {
    "attest": bytes.fromhex("00f99a00"),
    "serial": bytes.fromhex("00f80000"),
    "metadata": bytes.fromhex("00f70080"),
    "move": bytes.fromhex("00f6ff9a"),
}


@pytest.mark.parametrize("transport", TRANSPORT)
def test_a_device_is_described_by_its_management_applet(transport):
    """What ``ykman info`` shows."""
    card = VirtualYubiKey(serial=87654321, form_factor=3)

    told = read_info(InProcessConnection(card, transport), PID.YK4_CCID)

    assert (87654321, Version(5, 7, 1)) == (told.serial, told.version)
    assert {TRANSPORT.USB: CAPABILITY.PIV} == told.supported_capabilities
    assert (FORM_FACTOR.USB_C_KEYCHAIN, False) == (told.form_factor, told.is_fips)
    assert "YubiKey 5C" == get_name(told, PID.YK4_CCID.yubikey_type)


def test_a_fips_device_says_so():
    """A bit beside the form factor."""
    card = VirtualYubiKey(fips=True)

    assert ManagementSession(InProcessConnection(card)).read_device_info().is_fips


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ((4, 2, 6), set()),
        ((4, 3, 5), {"attest"}),
        ((5, 0, 3), {"attest", "serial"}),
        ((5, 2, 7), {"attest", "serial"}),
        ((5, 3, 0), {"attest", "serial", "metadata"}),
        ((5, 4, 3), {"attest", "serial", "metadata"}),
        ((5, 7, 1), {"attest", "serial", "metadata", "move"}),
    ],
)
def test_each_firmware_knows_its_instructions(version, known):
    """What it does not know is 6D00."""
    card = VirtualYubiKey(version=version)
    session = PivSession(InProcessConnection(card))

    unknown = {name for name, apdu in INSTRUCTIONS.items() if b"\x6d\x00" == card.process(apdu)}

    assert set(INSTRUCTIONS) - unknown == known
    assert Version(*version) == session.version


@pytest.mark.parametrize("transport", TRANSPORT)
@pytest.mark.parametrize("version", [(4, 2, 6), (4, 3, 5), (5, 2, 7), (5, 4, 3), (5, 7, 1)])
def test_every_firmware_makes_keys_and_signs(version, transport):
    """Firmware 4.2 over USB makes yubikit send a dummy command in between, which is refused."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=version), transport))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    public_key = session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP384)

    session.verify_pin("123456")

    secret = session.calculate_secret(SLOT.AUTHENTICATION, public_key)
    assert 48 == len(secret)


@pytest.mark.parametrize("number", [0x05, 0x16, 0xE0, 0xE1])
def test_new_key_types_are_unknown_before_5_7(number):
    """To be made and to be imported."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=(5, 4, 3))))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    with pytest.raises(NotSupportedError):
        session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE(number))
    with pytest.raises(ApduError, match="6a80"):
        session.protocol.send_apdu(0, 0x47, 0, 0x9A, bytes([0xAC, 3, 0x80, 1, number]))
    with pytest.raises(ApduError, match="6a80"):
        session.protocol.send_apdu(0, 0xFE, number, 0x9A, b"\x07\x20" + bytes(32))


def test_roca_firmware_makes_rsa_keys_and_it_is_the_client_that_refuses():
    """Whoever asks such a card gets a key: its agent has to know better."""
    session = PivSession(InProcessConnection(VirtualYubiKey(version=(4, 3, 4))))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)

    with pytest.raises(NotSupportedError):
        session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.RSA2048)

    assert session.protocol.send_apdu(0, 0x47, 0, 0x9A, bytes.fromhex("ac03800107"))


def test_the_serial_is_told_by_piv_too():
    """Four octets."""
    session = PivSession(InProcessConnection(VirtualYubiKey(serial=7)))

    assert 7 == session.get_serial()


def test_an_applet_is_selected_by_a_part_of_its_name():
    """Five octets are enough; what is not there is 6A82 and leaves the old one selected."""
    card = VirtualYubiKey()
    protocol = SmartCardProtocol(InProcessConnection(card))

    greetings = [
        protocol.select(bytes.fromhex(name))
        for name in ("a000000308", "a000000308000010000100", "a000000527471117", "a0000005272001")
    ]

    assert greetings[0] == greetings[1]
    assert bytes.fromhex("61114f0600001000010079074f05a000000308") == greetings[0]
    assert b"Virtual mgr - FW version 5.7.1" == greetings[2]
    assert b"\x05\x07\x01\0\0\0" == greetings[3]
    protocol.select(AID.PIV)
    for name in ("a0000003", "a00000030800001000010000", "a0000005272101"):
        with pytest.raises(ApplicationNotAvailableError):
            protocol.select(bytes.fromhex(name))
    assert bytes([5, 7, 1]) == protocol.send_apdu(0, 0xFD, 0, 0)


def test_without_power_no_applet_is_selected():
    """Every instruction is unknown until one is."""
    card = VirtualYubiKey()
    PivSession(InProcessConnection(card))

    card.reset()

    assert b"\x6d\x00" == card.process(bytes.fromhex("00fd0000"))
