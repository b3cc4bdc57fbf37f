"""Attestations: genuine ones, those of the virtual card, and what a forger would try."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_agent.stores.piv.attestation import (
    Authorities,
    Unverified,
    load_authorities,
    read_attestation,
    yubico_authorities,
)
from tests.virtual_yubikey.attestation import ARC, Device, Maker, attest, certificate_object
from tests.virtual_yubikey.keys import KeyType, PinPolicy, SlotKey, TouchPolicy
from tests.virtual_yubikey.tlv import tlv

VECTORS = Path(__file__).parent / "vectors"
PUBLISHED = {
    "Yubico PIV Root CA Serial 263751": "63ece914e54dd879",
    "Yubico Attestation Root 1": "62760c6a6ef91679",
    "Yubico Attestation Intermediate A 1": "4698a1d3389c3ec6",
    "Yubico Attestation Intermediate B 1": "d4cc3f456fdaf4e7",
    "Yubico PIV Attestation A 1": "6de693f05376f5d8",
    "Yubico PIV Attestation B 1": "2d55b7998f4e4256",
    "Yubico PIV Attestation B2 1": "0c90b7d184a36edf",
}
"""The first octets of the SHA-256 of what ships with this program."""
DEVICE = Device((5, 7, 1), 4711, 0x83, fips=True)


def genuine() -> tuple[bytes, bytes]:
    """Return the attestation of a real YubiKey, and its own certificate."""
    pem = (VECTORS / "yubikey-5.2.6-attestation.pem").read_bytes()
    f9, leaf = x509.load_pem_x509_certificates(pem)
    return leaf.public_bytes(Encoding.DER), f9.public_bytes(Encoding.DER)


def forged_card(maker: Maker) -> tuple[bytes, bytes, ec.EllipticCurvePrivateKey]:
    """Return an attestation by a virtual card, its own certificate, and the attested key."""
    f9, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = maker.certify(f9)
    slot_key = SlotKey(KeyType.ECCP256, key, PinPolicy.ONCE, TouchPolicy.CACHED, generated=True)
    return attest(0x9C, slot_key, f9, certificate_object(own), DEVICE), own, key


def trusting(maker: Maker) -> Authorities:
    """Return a verifier that knows a maker."""
    return Authorities([maker.root, *maker.intermediates])


def test_a_genuine_attestation_leads_to_the_root_of_yubico():
    """A YubiKey 5 with firmware 5.2.6, and the roots that ship with this program."""
    leaf, own = genuine()

    told = read_attestation(leaf)

    assert "Yubico PIV Root CA Serial 263751" == yubico_authorities().verify(leaf, own)
    assert ("9c", (5, 2, 6), 13078782) == (told.slot, told.firmware, told.serial)
    assert ("always", "always", "USB-C keychain") == (
        told.pin_policy,
        told.touch_policy,
        told.form_factor,
    )
    assert (False, False) == (told.fips, told.cspn)


def test_what_ships_is_what_yubico_publishes_and_holds_together():
    """Seven certificates by name and hash; each leads to a root among them."""
    path = Path(load_authorities.__code__.co_filename).with_name("yubico.pem")
    shipped = x509.load_pem_x509_certificates(path.read_bytes())
    by_name = {one.subject.rfc4514_string().removeprefix("CN="): one for one in shipped}

    assert PUBLISHED == {
        name: one.fingerprint(hashes.SHA256()).hex()[:16] for name, one in by_name.items()
    }
    for one in shipped:
        one.verify_directly_issued_by(by_name[one.issuer.rfc4514_string().removeprefix("CN=")])
        assert one.fingerprint(hashes.SHA256()).hex() in path.read_text(encoding="ascii")


@pytest.mark.parametrize("intermediates", [0, 1, 2])
def test_a_chain_of_any_usual_length_is_followed(intermediates):
    """Firmware before 5.7.4 has none between card and root, later firmware has two."""
    maker = Maker(intermediates)
    leaf, own, _ = forged_card(maker)

    assert "Test PIV Root CA" == trusting(maker).verify(leaf, own)


def test_all_facts_are_read():
    """Slot, firmware, serial, policies, form factor and FIPS, as section 8 of the design lists."""
    leaf, _, key = forged_card(Maker())

    told = read_attestation(leaf)

    assert ("9c", (5, 7, 1), 4711, "once", "cached", "USB-C keychain", True) == (
        told.slot,
        told.firmware,
        told.serial,
        told.pin_policy,
        told.touch_policy,
        told.form_factor,
        told.fips,
    )
    assert told.public_key.endswith(
        key.public_key().public_numbers().y.to_bytes(32, "big"),
    )


def test_a_stranger_is_not_believed():
    """Another maker of the same name signs as well as the real one."""
    leaf, own, _ = forged_card(Maker())

    with pytest.raises(Unverified, match="no configured root stands above"):
        trusting(Maker()).verify(leaf, own)
    with pytest.raises(Unverified, match="no configured root stands above"):
        yubico_authorities().verify(leaf, own)


def test_intermediates_alone_are_no_trust():
    """Only self-signed certificates are roots; the others have to lead to one."""
    maker = Maker(2)
    leaf, own, _ = forged_card(maker)

    with pytest.raises(Unverified, match="no root configured"):
        Authorities(maker.intermediates).verify(leaf, own)
    with pytest.raises(Unverified, match="no configured root"):
        Authorities([maker.root]).verify(leaf, own)


def test_without_a_root_nothing_is_verified(tmp_path):
    """An empty list is a decision of the operator, and the verdict says so."""
    leaf, own, _ = forged_card(Maker())

    with pytest.raises(Unverified, match="no root configured"):
        load_authorities([]).verify(leaf, own)
    with pytest.raises(Unverified, match=r"roots\.pem"):
        load_authorities([tmp_path / "roots.pem"])


def test_a_genuine_slot_key_cannot_vouch_for_a_key_that_is_a_file():
    """A key in slot 9a signs whatever its owner wants, an "attestation" as well."""
    maker = Maker()
    attested, own, slot_key = forged_card(maker)
    in_a_file = ec.generate_private_key(ec.SECP256R1())
    lie = SlotKey(KeyType.ECCP256, in_a_file, PinPolicy.ONCE, TouchPolicy.NEVER, generated=True)
    forged = attest(0x9A, lie, slot_key, certificate_object(attested), DEVICE)

    assert "Test PIV Root CA" == trusting(maker).verify(attested, own)
    with pytest.raises(Unverified, match="none of an authority"):
        trusting(maker).verify(forged, attested)


def test_an_attestation_of_another_card_is_refused():
    """Both cards are genuine; the signature is not that of this one."""
    maker = Maker()
    leaf, _, _ = forged_card(maker)
    _, own_of_another, _ = forged_card(maker)

    with pytest.raises(Unverified, match="not signed by the card's slot f9"):
        trusting(maker).verify(leaf, own_of_another)


def test_a_card_without_its_own_certificate_is_refused():
    """Slot f9 can be overwritten, and nothing brings it back."""
    leaf, own, _ = forged_card(Maker())

    with pytest.raises(Unverified, match="no certificate in slot f9"):
        yubico_authorities().verify(leaf, None)
    with pytest.raises(Unverified, match="cannot be read"):
        yubico_authorities().verify(leaf, own[:-1])


def with_extensions(values: dict[int, bytes]) -> bytes:
    """Return an attestation-like certificate with these extensions of Yubico's arc."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "YubiKey PIV Attestation 82")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        .public_key(key.public_key())
    )
    for number, value in values.items():
        oid = x509.ObjectIdentifier(f"{ARC}{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_values_within_an_octet_string_are_not_mistaken_for_bare_ones():
    """Read bare, the tag of an OCTET STRING would pass for a PIN policy."""
    wrapped = {
        3: tlv(0x04, b"\x05\x07\x04"),
        7: tlv(0x02, b"\x12\x34"),
        8: tlv(0x04, b"\x03\x02"),
        9: tlv(0x04, b"\x01"),
    }

    told = read_attestation(with_extensions(wrapped))

    assert ((5, 7, 4), 0x1234, "always", "always", "USB-A keychain", "82") == (
        told.firmware,
        told.serial,
        told.pin_policy,
        told.touch_policy,
        told.form_factor,
        told.slot,
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {3: b"\5\7\1", 7: tlv(2, b"\1")},
        {3: b"\5\7", 7: tlv(2, b"\1"), 8: b"\1\1"},
        {3: b"\5\7\1", 7: b"\1", 8: b"\1\1"},
        {3: b"\5\7\1", 7: tlv(2, b""), 8: b"\1\1"},
        {3: b"\5\7\1", 7: tlv(2, b"\1") + b"\0", 8: b"\1\1"},
        {3: b"\5\7\1", 7: tlv(2, b"\1"), 8: b"\1\1\1"},
        {3: b"\5\7\1", 7: tlv(2, b"\1"), 8: b"\1\1", 9: b""},
    ],
)
def test_what_does_not_tell_everything_is_no_attestation(values):
    """Nothing is guessed that a card leaves out."""
    with pytest.raises(Unverified):
        read_attestation(with_extensions(values))


LEAF, OWN = genuine()


@pytest.mark.filterwarnings("ignore:Parsed a:cryptography.utils.CryptographyDeprecationWarning")
@settings(deadline=None)
@given(place=st.integers(0, len(LEAF) - 1), flip=st.integers(1, 255))
def test_no_changed_octet_goes_unnoticed(place, flip):
    """Whatever is changed, the answer is `Unverified` and nothing else."""
    changed = bytearray(LEAF)
    changed[place] ^= flip

    with pytest.raises(Unverified):
        yubico_authorities().verify(bytes(changed), OWN)


@pytest.mark.filterwarnings("ignore:Parsed a:cryptography.utils.CryptographyDeprecationWarning")
@settings(deadline=None)
@given(octets=st.binary(max_size=400) | st.builds(lambda n: LEAF[:n], st.integers(0, len(LEAF))))
def test_octets_that_are_no_attestation_raise_one_error(octets):
    """A card may answer anything."""
    if octets == LEAF:
        return
    with pytest.raises(Unverified):
        read_attestation(octets)
