"""device-attest-01: genuine attestations, and what a forger would try."""

import base64
import datetime as dt
import hashlib
from pathlib import Path

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation import anchors as anchors_module
from pikaserver_acme.validation.attestation.anchors import Anchors, anchors
from pikaserver_acme.validation.attestation.device_attest_01 import PUBLIC_KEY
from pikaserver_acme.validation.attestation.signatures import verify
from pikaserver_acme.validation.attestation.statements import read_response
from pikaserver_acme.validation.attestation.tpm_structures import (
    read_certify_info,
    read_public_area,
    read_signature,
)
from tests.acme_validation.attesters import (
    MODULE,
    PERMANENT,
    Maker2,
    Tpm,
    YubiKey,
    apple,
    der_of,
    ecdsa_structure,
    response,
    sized,
    unknown,
)
from tests.acme_validation.conftest import KEY_AUTHORIZATION
from tests.virtual_yubikey.attestation import Maker

NOW = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
VECTORS = Path(__file__).parent.parent / "hsm_agent" / "vectors"
UDID, SERIAL = "00008030-001A2B3C4D5E6F70", "C02X1234ABCD"


@pytest.fixture(scope="module")
def maker():
    """Give a maker of devices."""
    return Maker2("Stand-in")


@pytest.fixture
def attest(ask, look):
    """Return a function that asks about a device and gives the verdict."""

    def now(octets, value, roots=None, kind="permanent-identifier"):
        limits = {} if roots is None else {"attestation_roots": roots}
        question = ask(
            "device-attest-01", value, identifier_type=kind, response=octets, limits=limits
        )
        return look(question)

    return now


def digest(key):
    """Return the fact that binds a key."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


@pytest.mark.parametrize("value", [UDID, SERIAL])
def test_a_device_of_apple_is_known_by_udid_and_serial_number(attest, maker, value):
    """Its key is a fact that finalization holds the CSR to."""
    key = ec.generate_private_key(ec.SECP384R1())

    verdict = attest(apple(maker, key), value, {"apple": maker.roots})

    assert verdict.valid
    assert {
        PUBLIC_KEY: digest(key),
        "format": "apple",
        "serial": SERIAL,
        "udid": UDID,
        "sep_version": "17.4.1",
    } == verdict.facts


@pytest.mark.parametrize("wrapped", [der.octet_string, lambda octets: octets])
def test_what_apple_tells_may_stand_bare_or_in_der(attest, maker, wrapped):
    """A nonce of 32 octets, a text."""
    nonce = wrapped(hashlib.sha256(b"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0").digest())
    key = ec.generate_private_key(ec.SECP256R1())
    octets = apple(maker, key, nonce=nonce, udid=der.element(0x0C, UDID.encode()))

    assert attest(octets, UDID, {"apple": maker.roots}).valid


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nonce": None}, "not fresh"),
        ({"nonce": bytes(32)}, "not fresh"),
        ({"nonce": hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()}, "not fresh"),
        ({"udid": b"another", "serial": b""}, "speaks of another, not of"),
        ({"until": dt.datetime(2025, 6, 1, tzinfo=dt.UTC)}, "is not valid now"),
        ({"extra": [(unknown("1.2.3.4", b"x")[0], True)]}, "critical extension 1.2.3.4"),
    ],
)
def test_another_word_of_apple_is_refused(attest, maker, changes, told):
    """Stale, of another device, too old, or with a condition that we do not understand."""
    key = ec.generate_private_key(ec.SECP256R1())

    verdict = attest(apple(maker, key, **changes), UDID, {"apple": maker.roots})

    assert "badAttestationStatement" == verdict.error
    assert told in verdict.detail


def test_only_the_configured_roots_count(attest, maker):
    """By default Apple's own, which did not make this; another maker's neither."""
    octets = apple(maker, ec.generate_private_key(ec.SECP256R1()))

    for roots in (None, {"apple": Maker2("Stand-in").roots}, {"step": maker.roots}):
        verdict = attest(octets, UDID, roots)
        assert "no trusted root stands above" in verdict.detail


def test_a_key_of_a_device_makes_no_certificates(attest, maker):
    """A genuine attested key below an authority could otherwise vouch for a file."""
    genuine, forged = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    end = maker.certify("key", genuine)
    fake = Maker2("Stand-in")
    fake.key, fake.authority = genuine, end
    fake._name = "key"  # noqa: SLF001 - a forger knows no privacy
    good = apple(fake, forged)

    verdict = attest(good, UDID, {"apple": maker.roots})

    assert "no trusted root stands above" in verdict.detail


@pytest.mark.parametrize("intermediates", [0, 2])
def test_a_yubikey_is_known_by_its_serial_number(attest, intermediates):
    """The virtual card's attestation: firmware and policies are facts."""
    card = YubiKey(Maker(intermediates))

    verdict = attest(card.response(), "4711", {"step": card.roots})

    assert verdict.valid
    assert {
        PUBLIC_KEY: digest(card.key),
        "format": "step",
        "hardware": "YubiKey",
        "serial": "4711",
        "firmware": "5.7.1",
        "pin_policy": "once",
        "touch_policy": "cached",
    } == verdict.facts


def test_other_hardware_of_steps_format_names_itself(attest, maker):
    """By a permanent identifier in the subjectAltName."""
    key = ed25519.Ed25519PrivateKey.generate()
    identifier = der.sequence(der.element(0x0C, b"safe-7"))
    names = x509.SubjectAlternativeName(
        [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.3"), identifier)]
    )
    leaf = maker.certify("key", key, [(names, False)])
    statement = {
        "x5c": [der_of(leaf), der_of(maker.authority)],
        "alg": -8,
        "sig": cbor2.dumps(key.sign(KEY_AUTHORIZATION.encode())),
    }

    assert attest(response("step", statement), "safe-7", {"step": maker.roots}).valid


def test_forged_yubikeys_are_refused(attest):
    """Another signature, card, serial number, algorithm, or a chain by a slot's key."""
    card, other = YubiKey(), YubiKey()
    roots = {"step": card.roots}
    stranger = ec.generate_private_key(ec.SECP256R1())
    wrong = stranger.sign(KEY_AUTHORIZATION.encode(), ec.ECDSA(hashes.SHA256()))
    replayed = card.key.sign(b"another.authorization", ec.ECDSA(hashes.SHA256()))
    tries = {
        "is not good": [
            card.response(sig=cbor2.dumps(wrong)),
            card.response(sig=cbor2.dumps(replayed)),
        ],
        "no trusted root": [
            other.response(),
            card.response(x5c=[card.attestation]),
            card.response(x5c=[other.attestation, card.own]),
            card.response(x5c=[other.attestation, card.attestation, card.own]),
        ],
        "is not taken for the key": [card.response(alg=-257), card.response(alg=-65535)],
        "cannot be read": [card.response(x5c=[b"x"]), card.response(sig=b"\xff")],
        "should be a byte string": [card.response(sig=cbor2.dumps("x"))],
        "that of an authority": [card.response(x5c=[card.own])],
    }
    for told, attempts in tries.items():
        for octets in attempts:
            verdict = attest(octets, "4711", roots)
            assert "badAttestationStatement" == verdict.error
            assert told in verdict.detail
    assert "speaks of 4711, not of '4712'" in attest(card.response(), "4712", roots).detail


def test_a_real_yubikey_leads_to_what_ships():
    """A YubiKey 5 with firmware 5.2.6; only its signature could not be asked for."""
    pem = (VECTORS / "yubikey-5.2.6-attestation.pem").read_bytes()
    f9, leaf = (der_of(one) for one in x509.load_pem_x509_certificates(pem))

    assert leaf == der_of(anchors("step", ()).leaf([leaf, f9], NOW))


def test_what_ships_is_what_the_makers_publish():
    """The same file as the agent's; Apple's root by its digest."""
    here = Path(anchors_module.__file__).parent
    agents = Path(__file__).parents[2] / "hsm_agent" / "stores" / "piv" / "yubico.pem"
    assert agents.read_bytes() == (here / "yubico.pem").read_bytes()

    root = x509.load_pem_x509_certificate((here / "apple.pem").read_bytes())
    root.verify_directly_issued_by(root)
    assert "ccf59ef8fcb3017d97f8b5fa6fa90e7a3f9283f76b55ac6cf6eda8b8b949f05b" == (
        root.fingerprint(hashes.SHA256()).hex()
    )


@pytest.mark.parametrize("form", ["structure", "bare"])
def test_a_tpm_vouches_for_a_key_and_for_itself(attest, maker, form):
    """WebAuthn section 8.3, with a made chain above the attestation key."""
    tpm = Tpm(maker, form=form)
    roots = {"tpm": maker.roots}

    verdict = attest(tpm.response(), PERMANENT, roots)

    assert verdict.valid
    assert {
        PUBLIC_KEY: digest(tpm.key),
        "format": "tpm",
        "hardware": "TPM",
        "tpm_manufacturer": "id:FFFFF1D0",
        "tpm_model": "Stand-in",
        "tpm_version": "id:13",
    } == verdict.facts
    module = base64.urlsafe_b64encode(MODULE).rstrip(b"=").decode()
    assert attest(tpm.response(), module, roots, "hardware-module").valid
    assert not attest(tpm.response(), module[:-4], roots, "hardware-module").valid
    assert "malformed" == attest(tpm.response(), "!", roots, "hardware-module").error


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"extra_data": bytes(32)}, "for another challenge or account"),
        ({"magic": 0xFF544348}, "was not made by a TPM"),
        ({"kind": 0x8018}, "does not certify a key"),
        ({"attributes": 0x00040070}, "was not made in the TPM"),
        ({"attributes": 0x00040052}, "was not made in the TPM"),
        ({"attributes": 0x00000072}, "does not sign"),
    ],
)
def test_a_tpm_that_says_something_else_is_refused(attest, maker, changes, told):
    """A key that may leave it, another structure, another challenge."""
    verdict = attest(Tpm(maker, **changes).response(), PERMANENT, {"tpm": maker.roots})

    assert "badAttestationStatement" == verdict.error
    assert told in verdict.detail


def test_forged_tpms_are_refused(attest, maker):
    """Each field exchanged, and certificates that are not for attestation keys."""
    tpm, other = Tpm(maker), Tpm(maker)
    above = der_of(maker.authority)
    tries = {
        "certified another key": [tpm.response(pubArea=other.public_area)],
        "is not good": [
            tpm.response(certInfo=other.certify_info),
            tpm.response(sig=b"x" * 256),
            tpm.response(x5c=[der_of(other.certificate), above]),
        ],
        "ver should be": [tpm.response(ver="1.2")],
        "cut off": [tpm.response(pubArea=tpm.public_area[:-1])],
        "something follows": [tpm.response(pubArea=tpm.public_area + b"x")],
        "no octets": [tpm.response(sig=b""), tpm.response(certInfo="x")],
        "no number": [tpm.response(alg="RS256"), tpm.response(alg=True)],
        "x5c": [tpm.response(x5c=[]), tpm.response(x5c="x"), tpm.response(x5c=[above] * 9)],
        "empty subject": [tpm.response(x5c=[der_of(tpm.certified("a name")), above])],
        "not one for an attestation key": [
            tpm.response(x5c=[der_of(tpm.certified(uses=("1.3.6.1.5.5.7.3.2",))), above])
        ],
        "does not tell tpm_version": [
            tpm.response(x5c=[der_of(tpm.certified(names=("id:1", "x"))), above])
        ],
    }
    for told, attempts in tries.items():
        for octets in attempts:
            verdict = attest(octets, PERMANENT, {"tpm": maker.roots})
            assert "badAttestationStatement" == verdict.error
            assert told in verdict.detail, (told, verdict.detail)
    assert "names no root" in attest(tpm.response(), PERMANENT).detail


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"{", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b"[]", "malformed"),
        (b"{}", "malformed"),
        (b'{"attObj": 7}', "malformed"),
        (b'{"attObj": "=="}', "malformed"),
        (b'{"attObj": "!!!"}', "malformed"),
        (b'{"attObj": ""}', "badAttestationStatement"),
        (b'{"attObj": "' + b"A" * 200_000 + b'"}', "malformed"),
        (b'{"error": "no \\u001b hardware"}', "badAttestationStatement"),
        (response("android-key", {}), "badAttestationStatement"),
        (response("none", {}), "badAttestationStatement"),
        (response(7, {}), "badAttestationStatement"),
        (response("tpm", []), "badAttestationStatement"),
    ],
)
def test_what_is_no_attestation_is_told_so(attest, octets, error):
    """And control codes of clients reach nobody."""
    verdict = attest(octets, PERMANENT)

    assert error == verdict.error
    assert verdict.detail.isprintable()


def test_attestations_are_for_devices(attest, maker):
    """A DNS name is not proved by hardware."""
    octets = Tpm(maker).response()

    assert "malformed" == attest(octets, "www.example.org", {"tpm": maker.roots}, "dns").error


def test_a_root_of_the_policy_that_cannot_be_read_is_our_fault(attest, maker):
    """The operator finds it in the log."""
    assert "serverInternal" == attest(Tpm(maker).response(), PERMANENT, {"tpm": ("x",)}).error


@given(st.binary(max_size=300))
def test_whatever_a_client_sends_is_read_or_refused(octets):
    """No octets raise anything but `Failed`, in any reader."""
    inside = b'{"attObj": "' + base64.urlsafe_b64encode(octets).rstrip(b"=") + b'"}'
    for read in (read_response, read_public_area, read_certify_info, read_signature):
        for one in (octets, inside):
            try:
                read(one)
            except Failed:
                continue


@given(st.data())
def test_a_bent_structure_of_a_tpm_is_read_or_refused(data):
    """One octet changed, cut anywhere."""
    area = TPM_AREA
    at = data.draw(st.integers(0, len(area) - 1))
    bent = area[:at] + bytes([data.draw(st.integers(0, 255))]) + area[at + 1 :]
    for octets in (bent, area[:at]):
        try:
            read_public_area(octets)
        except Failed:
            continue


TPM_AREA = (
    b"\x00\x01\x00\x0b\x00\x04\x00\x72"
    + sized(b"")
    + b"\x00\x06\x00\x80\x00\x43\x00\x14\x00\x0b\x08\x00\x00\x00\x00\x00"
    + sized((1 << 2047 | 1).to_bytes(256, "big"))
)


def test_both_kinds_of_signature_structures_are_read():
    """RSASSA and ECDSA; RSA keys with a scheme and the usual exponent, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    bare = key.sign(b"x", ec.ECDSA(hashes.SHA256()))
    assert bare == read_signature(ecdsa_structure(bare))
    assert bare == read_signature(bare)
    verify(key.public_key(), -7, read_signature(ecdsa_structure(bare)), b"x")
    assert (65537, 2048) == (
        read_public_area(TPM_AREA).key.public_numbers().e,
        read_public_area(TPM_AREA).key.key_size,
    )


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_whatever_stands_in_a_chain_is_refused(chain):
    """No octets raise anything but `Failed`."""
    with pytest.raises(Failed):
        Anchors([]).leaf(chain, NOW)
