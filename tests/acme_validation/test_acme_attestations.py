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
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation import anchors as anchors_module
from pikaserver_acme.validation.attestation.anchors import Anchors, anchors
from pikaserver_acme.validation.attestation.device_attest_01 import PUBLIC_KEY
from pikaserver_acme.validation.attestation.statements import read_response
from pikaserver_acme.validation.attestation.tpm_structures import (
    read_certify_info,
    read_public_area,
    read_signature,
)
from tests.acme_validation.attesters import (
    PERMANENT,
    Maker2,
    Tpm,
    YubiKey,
    apple,
    der_of,
    digest,
    response,
    unknown,
)
from tests.acme_validation.tokens import KEY_AUTHORIZATION
from tests.virtual_yubikey.attestation import Maker

NOW = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


VECTORS = Path(__file__).parent.parent / "hsm_agent" / "vectors"


UDID, SERIAL = "00008030-001A2B3C4D5E6F70", "C02X1234ABCD"


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


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_whatever_stands_in_a_chain_is_refused(chain):
    """No octets raise anything but `Failed`."""
    with pytest.raises(Failed):
        Anchors([]).leaf(chain, NOW)
