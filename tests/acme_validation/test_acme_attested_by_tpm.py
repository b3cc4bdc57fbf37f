"""device-attest-01 by TPMs: genuine statements, forged ones, and their structures."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation.device_attest_01 import PUBLIC_KEY
from pikaserver_acme.validation.attestation.signatures import verify
from pikaserver_acme.validation.attestation.tpm_structures import (
    read_public_area,
    read_signature,
)
from tests.acme_validation.attesters import (
    MODULE,
    PERMANENT,
    Tpm,
    der_of,
    digest,
    ecdsa_structure,
    sized,
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
