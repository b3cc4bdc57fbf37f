"""Keys of the virtual card: made, imported, used, attested, moved and deleted by yubikit."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from yubikit.core import TRANSPORT, NotSupportedError
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

SIGNING = [key_type for key_type in KEY_TYPE if key_type != KEY_TYPE.X25519]


def opened(card, transport=TRANSPORT.USB):
    """Open a session that has shown management key and PIN."""
    session = PivSession(InProcessConnection(card, transport))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    session.verify_pin("123456")
    return session


def verify(public_key, signature, message, hash_algorithm, rsa_padding):
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, message, rsa_padding, hash_algorithm)
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, message, ec.ECDSA(hash_algorithm))
    else:
        public_key.verify(signature, message)


@pytest.mark.parametrize("transport", TRANSPORT)
@pytest.mark.parametrize("key_type", SIGNING, ids=str)
def test_a_generated_key_signs(key_type, transport, large_keys):
    """USB sends extended APDUs, NFC chains short ones: the card takes both."""
    session = opened(VirtualYubiKey(fixed_keys=large_keys), transport)

    public_key = session.generate_key(SLOT.AUTHENTICATION, key_type)
    signature = session.sign(
        SLOT.AUTHENTICATION, key_type, b"m" * 300, hashes.SHA384(), padding.PKCS1v15()
    )

    verify(public_key, signature, b"m" * 300, hashes.SHA384(), padding.PKCS1v15())


def test_rsa_pss_is_padded_by_the_client():
    """The card does the raw operation only."""
    session = opened(VirtualYubiKey())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)

    public_key = session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.RSA2048)
    signature = session.sign(
        SLOT.AUTHENTICATION, KEY_TYPE.RSA2048, b"message", hashes.SHA256(), pss
    )

    verify(public_key, signature, b"message", hashes.SHA256(), pss)


def test_a_digest_shorter_than_the_field_is_filled_up_on_the_left():
    """P-384 with SHA-256: the card gets 32 octets."""
    session = opened(VirtualYubiKey())
    public_key = session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP384)

    signature = session.sign(
        SLOT.AUTHENTICATION, KEY_TYPE.ECCP384, b"message", hashes.SHA256(), None
    )

    public_key.verify(signature, b"message", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("transport", TRANSPORT)
@pytest.mark.parametrize(
    "key_type", [KEY_TYPE.RSA2048, KEY_TYPE.ECCP256, KEY_TYPE.ECCP384, KEY_TYPE.ED25519], ids=str
)
def test_an_imported_key_signs_and_is_not_attested(key_type, transport):
    """The card vouches for nothing that it did not make."""
    session = opened(VirtualYubiKey(), transport)
    private = {
        KEY_TYPE.RSA2048: lambda: rsa.generate_private_key(65537, 2048),
        KEY_TYPE.ECCP256: lambda: ec.generate_private_key(ec.SECP256R1()),
        KEY_TYPE.ECCP384: lambda: ec.generate_private_key(ec.SECP384R1()),
        KEY_TYPE.ED25519: ed25519.Ed25519PrivateKey.generate,
    }[key_type]()

    session.put_key(SLOT.RETIRED1, private, PIN_POLICY.ONCE)
    signature = session.sign(SLOT.RETIRED1, key_type, b"m", hashes.SHA256(), padding.PKCS1v15())

    verify(private.public_key(), signature, b"m", hashes.SHA256(), padding.PKCS1v15())
    assert not session.get_slot_metadata(SLOT.RETIRED1).generated
    with pytest.raises(ApduError, match="6a80"):
        session.attest_key(SLOT.RETIRED1)


@pytest.mark.parametrize("key_type", [KEY_TYPE.ECCP256, KEY_TYPE.ECCP384, KEY_TYPE.X25519], ids=str)
def test_a_key_agrees_with_another(key_type):
    """ECDH, on the card and beside it."""
    session = opened(VirtualYubiKey())
    public_key = session.generate_key(SLOT.KEY_MANAGEMENT, key_type)
    if key_type == KEY_TYPE.X25519:
        peer = x25519.X25519PrivateKey.generate()
        expected = peer.exchange(public_key)
    else:
        peer = ec.generate_private_key(public_key.curve)
        expected = peer.exchange(ec.ECDH(), public_key)

    secret = session.calculate_secret(SLOT.KEY_MANAGEMENT, peer.public_key())

    assert expected == secret


def test_metadata_tells_what_a_slot_holds():
    """Algorithm, policies, origin and the public key."""
    session = opened(VirtualYubiKey())
    public_key = session.generate_key(
        SLOT.RETIRED20, KEY_TYPE.ECCP384, PIN_POLICY.NEVER, TOUCH_POLICY.ALWAYS
    )

    told = session.get_slot_metadata(SLOT.RETIRED20)

    assert (KEY_TYPE.ECCP384, PIN_POLICY.NEVER) == (told.key_type, told.pin_policy)
    assert (TOUCH_POLICY.ALWAYS, True) == (told.touch_policy, told.generated)
    assert public_key == told.public_key
    with pytest.raises(ApduError, match="6a88"):
        session.get_slot_metadata(SLOT.RETIRED1)


@pytest.mark.parametrize(
    ("slot", "policy"),
    [
        (SLOT.AUTHENTICATION, PIN_POLICY.ONCE),
        (SLOT.SIGNATURE, PIN_POLICY.ALWAYS),
        (SLOT.KEY_MANAGEMENT, PIN_POLICY.ONCE),
        (SLOT.CARD_AUTH, PIN_POLICY.NEVER),
        (SLOT.RETIRED7, PIN_POLICY.ONCE),
    ],
    ids=str,
)
def test_each_slot_has_its_usual_policy(slot, policy):
    """What holds when the client names none."""
    session = opened(VirtualYubiKey())

    session.generate_key(slot, KEY_TYPE.ECCP256)

    told = session.get_slot_metadata(slot)
    assert (policy, TOUCH_POLICY.NEVER) == (told.pin_policy, told.touch_policy)


def test_a_key_moves_and_is_deleted():
    """Firmware 5.7: into an empty slot only, and its certificate object stays where it was."""
    session = opened(VirtualYubiKey())
    public_key = session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256)
    session.generate_key(SLOT.RETIRED2, KEY_TYPE.ECCP256)

    session.move_key(SLOT.AUTHENTICATION, SLOT.RETIRED1)

    assert public_key == session.get_slot_metadata(SLOT.RETIRED1).public_key
    with pytest.raises(ApduError, match="6a88"):
        session.move_key(SLOT.AUTHENTICATION, SLOT.RETIRED3)
    with pytest.raises(ApduError, match="6a80"):
        session.move_key(SLOT.RETIRED1, SLOT.RETIRED2)
    session.delete_key(SLOT.RETIRED1)
    with pytest.raises(ApduError, match="6a88"):
        session.get_slot_metadata(SLOT.RETIRED1)


def test_older_firmware_neither_moves_nor_deletes():
    """The client does not even ask; the card would not know the instruction."""
    card = VirtualYubiKey(version=(5, 4, 3))
    session = opened(card)
    session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256)

    with pytest.raises(NotSupportedError):
        session.move_key(SLOT.AUTHENTICATION, SLOT.RETIRED1)
    with pytest.raises(ApduError, match="6d00"):
        session.protocol.send_apdu(0, 0xF6, 0xFF, SLOT.AUTHENTICATION)


def test_what_fits_no_key_is_refused():
    """Another algorithm than the slot's, an empty or unknown slot, a block of another size."""
    session = opened(VirtualYubiKey())
    session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.RSA2048, PIN_POLICY.ONCE)
    asked = bytes.fromhex("7c058200810131")

    for algorithm, slot, data, status in [
        (0x11, 0x9A, asked, "6a80"),
        (0x07, 0x9D, asked, "6a80"),
        (0x07, 0x55, asked, "6b00"),
        (0x07, 0x9A, asked, "6a80"),
        (0x07, 0x9A, asked[:-1], "6a80"),
        (0x07, 0x9A, bytes.fromhex("7c028200"), "6a80"),
    ]:
        with pytest.raises(ApduError, match=status):
            session.protocol.send_apdu(0, 0x87, algorithm, slot, data)


def test_keys_are_made_and_taken_only_after_management_has_shown_itself():
    """The PIN alone changes no key."""
    session = PivSession(InProcessConnection(VirtualYubiKey()))
    session.verify_pin("123456")

    with pytest.raises(ApduError, match="6982"):
        session.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256)
    with pytest.raises(ApduError, match="6982"):
        session.put_key(SLOT.AUTHENTICATION, ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(ApduError, match="6982"):
        session.delete_key(SLOT.ATTESTATION)
