"""Data objects of the virtual card."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import ApduError
from yubikit.piv import DEFAULT_MANAGEMENT_KEY, OBJECT_ID, SLOT, PivSession

from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.objects import LONGEST_OBJECT


@pytest.fixture
def card():
    """Give a new card."""
    return VirtualYubiKey()


@pytest.fixture(params=TRANSPORT)
def piv(card, request):
    """Give a session that has shown the management key."""
    session = PivSession(InProcessConnection(card, request.param))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    return session


def certificate(names):
    """Return a certificate with so many names of 61 octets each."""
    key = ec.generate_private_key(ec.SECP256R1())
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "u" * 50)] * names
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(units))
        .issuer_name(x509.Name(units[:1]))
        .not_valid_before(now)
        .not_valid_after(now)
        .serial_number(1)
        .public_key(key.public_key())
        .sign(key, hashes.SHA256())
    )


def test_an_object_is_kept_replaced_and_deleted(piv):
    """Writing nothing deletes."""
    piv.put_object(0x5FFF11, b"first" * 100)
    piv.put_object(0x5FFF11, b"second" * 400)
    assert b"second" * 400 == piv.get_object(0x5FFF11)

    piv.put_object(0x5FFF11)

    with pytest.raises(ApduError, match="6a82"):
        piv.get_object(0x5FFF11)


def test_a_certificate_is_kept_in_its_slot(piv):
    """Also a long one, and compressed."""
    long = certificate(42)

    piv.put_certificate(SLOT.RETIRED1, long)
    piv.put_certificate(SLOT.RETIRED2, long, compress=True)

    assert long == piv.get_certificate(SLOT.RETIRED1) == piv.get_certificate(SLOT.RETIRED2)
    piv.delete_certificate(SLOT.RETIRED1)
    with pytest.raises(ApduError, match="6a82"):
        piv.get_certificate(SLOT.RETIRED1)


def test_an_object_that_is_too_large_is_refused(card):
    """6A84, and what was there stays."""
    session = PivSession(InProcessConnection(card, TRANSPORT.NFC))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    largest = b"x" * LONGEST_OBJECT
    session.put_object(0x5FFF11, largest)

    with pytest.raises(ApduError, match="6a84"):
        session.put_object(0x5FFF11, largest + b"x")

    assert largest == session.get_object(0x5FFF11)


def test_some_objects_are_behind_the_pin(piv):
    """Printed information, where ykman keeps a management key, and three more."""
    for number in (
        OBJECT_ID.PRINTED,
        OBJECT_ID.FINGERPRINTS,
        OBJECT_ID.FACIAL,
        OBJECT_ID.IRIS,
    ):
        piv.put_object(number, b"secret")
        with pytest.raises(ApduError, match="6982"):
            piv.get_object(number)

    piv.verify_pin("123456")

    assert b"secret" == piv.get_object(OBJECT_ID.PRINTED)


def test_objects_are_written_only_after_management_has_shown_itself(card):
    """The PIN is not enough."""
    session = PivSession(InProcessConnection(card))
    session.verify_pin("123456")

    with pytest.raises(ApduError, match="6982"):
        session.put_object(0x5FFF11, b"x")


def test_the_discovery_object_names_the_application(piv):
    """It is not written, and comes in its own tag."""
    told = piv.get_object(OBJECT_ID.DISCOVERY)

    assert bytes.fromhex("4f0ba0000003080000100001005f2f024000") == told
    with pytest.raises(ApduError, match="6a80"):
        piv.put_object(OBJECT_ID.DISCOVERY, b"x")


@pytest.mark.parametrize("data", ["", "5c", "5c045fc102", "5c035fc102ff", "53015c"])
def test_what_names_no_object_is_refused(piv, data):
    """6A80 for reading and writing."""
    for ins in (0xCB, 0xDB):
        with pytest.raises(ApduError, match="6a80"):
            piv.protocol.send_apdu(0, ins, 0x3F, 0xFF, bytes.fromhex(data))


def test_objects_stand_in_one_place_only(piv):
    """P1 and P2 are 3FFF."""
    with pytest.raises(ApduError, match="6b00"):
        piv.protocol.send_apdu(0, 0xCB, 0x3F, 0x00, bytes.fromhex("5c035fc102"))


def test_no_more_comes_than_was_asked_for(card):
    """OpenSC asks for 8 octets to learn the length; the rest waits for GET RESPONSE."""
    session = PivSession(InProcessConnection(card))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    session.put_object(0x5FC102, bytes(range(250)) * 2)
    whole = bytes.fromhex("538201f4") + bytes(range(250)) * 2

    first = card.process(bytes.fromhex("00cb3fff055c035fc10208"))
    second = card.process(bytes.fromhex("00c00000f0"))
    third = card.process(bytes.fromhex("00c0000000"))
    fourth = card.process(bytes.fromhex("00c0000000"))

    assert whole[:8] + b"\x61\x00" == first
    assert whole[8:248] + b"\x61\x00" == second
    assert whole[248:504] + b"\x90\x00" == third
    assert b"\x69\x85" == fourth


def test_what_waits_is_forgotten_with_the_next_command(card):
    """GET RESPONSE comes at once or not at all."""
    card.process(bytes.fromhex("00a4040005a000000308"))
    assert b"\x61" == card.process(bytes.fromhex("00cb3fff055c035fff0108"))[-2:-1]

    card.process(bytes.fromhex("00fd000003"))

    assert b"\x69\x85" == card.process(bytes.fromhex("00c0000000"))
