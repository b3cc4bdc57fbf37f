"""Attestations of the virtual card."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import ApduError
from yubikit.piv import (
    DEFAULT_MANAGEMENT_KEY,
    KEY_TYPE,
    PIN_POLICY,
    SLOT,
    TOUCH_POLICY,
    PivSession,
)

from tests.virtual_yubikey.attestation import ARC, Maker
from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection


def opened(card, transport=TRANSPORT.USB):
    """Open a session that has shown management key and PIN."""
    session = PivSession(InProcessConnection(card, transport))
    session.authenticate(DEFAULT_MANAGEMENT_KEY)
    session.verify_pin("123456")
    return session


@pytest.mark.parametrize("transport", TRANSPORT)
@pytest.mark.parametrize("key_type", KEY_TYPE, ids=str)
@pytest.mark.parametrize("intermediates", [0, 2])
def test_an_attestation_leads_to_the_makers_root(key_type, transport, large_keys, intermediates):
    """Signed by f9, whose certificate on the card was signed by the maker."""
    card = VirtualYubiKey(fixed_keys=large_keys, maker=Maker(intermediates))
    session = opened(card, transport)
    public_key = session.generate_key(SLOT.SIGNATURE, key_type)

    attestation = session.attest_key(SLOT.SIGNATURE)

    f9 = session.get_certificate(SLOT.ATTESTATION)
    chain = [attestation, f9, *reversed(card.maker.intermediates), card.maker.root]
    for certificate, issuer in zip(chain, [*chain[1:], card.maker.root], strict=True):
        certificate.verify_directly_issued_by(issuer)
    assert public_key == attestation.public_key()


def test_an_attestation_tells_of_device_and_policies():
    """Yubico's extensions: firmware, serial, policies, form factor."""
    card = VirtualYubiKey(version=(5, 4, 3), serial=0x1020304, form_factor=3)
    session = opened(card)
    session.generate_key(SLOT.SIGNATURE, KEY_TYPE.ECCP256, PIN_POLICY.ONCE, TOUCH_POLICY.CACHED)

    attestation = session.attest_key(SLOT.SIGNATURE)

    told = {
        extension.oid.dotted_string.removeprefix(ARC): extension.value.value
        for extension in attestation.extensions
    }
    assert {
        "3": b"\x05\x04\x03",
        "7": b"\x02\x04\x01\x02\x03\x04",
        "8": b"\x02\x03",
        "9": b"\x03",
    } == told
    assert "CN=YubiKey PIV Attestation 9c" == attestation.subject.rfc4514_string()


def test_a_fips_key_says_so_and_refuses_what_fips_forbids():
    """The flag is in the form factor and an extension of its own."""
    session = opened(VirtualYubiKey(fips=True))
    session.generate_key(SLOT.SIGNATURE, KEY_TYPE.ECCP256)

    told = {
        extension.oid.dotted_string for extension in session.attest_key(SLOT.SIGNATURE).extensions
    }

    assert f"{ARC}10" in told
    for key_type, pin in [
        (KEY_TYPE.X25519, PIN_POLICY.ONCE),
        (KEY_TYPE.RSA1024, PIN_POLICY.ONCE),
        (KEY_TYPE.ECCP256, PIN_POLICY.NEVER),
    ]:
        with pytest.raises(ApduError, match="6a80"):
            session.generate_key(SLOT.AUTHENTICATION, key_type, pin)


def test_the_attestation_key_can_be_replaced_but_not_used():
    """Who overwrites f9 attests with his own chain from then on."""
    card = VirtualYubiKey()
    session = opened(card)
    own = Maker()
    key = rsa.generate_private_key(65537, 2048)
    session.put_key(SLOT.ATTESTATION, key)
    session.put_certificate(SLOT.ATTESTATION, x509.load_der_x509_certificate(own.certify(key)))
    session.generate_key(SLOT.SIGNATURE, KEY_TYPE.ECCP256)

    attestation = session.attest_key(SLOT.SIGNATURE)

    f9 = session.get_certificate(SLOT.ATTESTATION)
    attestation.verify_directly_issued_by(f9)
    f9.verify_directly_issued_by(own.root)
    with pytest.raises(ApduError, match="6a80"):
        session.sign(SLOT.ATTESTATION, KEY_TYPE.RSA2048, b"m", hashes.SHA256(), padding.PKCS1v15())


def test_without_a_certificate_in_f9_nothing_is_attested():
    """The attestation takes issuer and dates from there."""
    session = opened(VirtualYubiKey())
    session.generate_key(SLOT.SIGNATURE, KEY_TYPE.ECCP256)

    session.delete_certificate(SLOT.ATTESTATION)

    with pytest.raises(ApduError, match="6a80"):
        session.attest_key(SLOT.SIGNATURE)
