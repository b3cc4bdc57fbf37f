"""Composite ML-DSA: both halves count, and each is what OpenSSL verifies by itself."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, key_type, verify
from pikaserver.asn1.composite import COMPOSITES, check_public_key, representative
from pikaserver.asn1.identifiers import key_bits, read_oid
from pikaserver.signing.composite_keys import new_composite_key, read_composite_key
from pikaserver.testing.openssl import require_ml_dsa_openssl

MESSAGE = b"to be signed"
VECTOR = json.loads((Path(__file__).parent / "vectors" / "composite.json").read_text())
# Larger RSA keys take long to make, and differ in their size alone.
MADE = [name for name in COMPOSITES if not name.endswith(("3072", "4096"))]


@pytest.fixture(scope="module", params=MADE)
def key(request):
    return new_composite_key(request.param)


def test_names_labels_and_arcs_are_those_of_the_draft():
    """Section 6 and the table of section 7, a few of each kind."""
    expected = {
        "composite-ml-dsa-44-rsa-pss-2048": (37, b"COMPSIG-MLDSA44-RSA2048-PSS-SHA256"),
        "composite-ml-dsa-44-rsa-2048": (38, b"COMPSIG-MLDSA44-RSA2048-PKCS15-SHA256"),
        "composite-ml-dsa-44-ed25519": (39, b"COMPSIG-MLDSA44-Ed25519-SHA512"),
        "composite-ml-dsa-65-ec-p384": (46, b"COMPSIG-MLDSA65-ECDSA-P384-SHA512"),
        "composite-ml-dsa-65-ec-brainpool-p256": (47, b"COMPSIG-MLDSA65-ECDSA-BP256-SHA512"),
        "composite-ml-dsa-87-ed448": (51, b"COMPSIG-MLDSA87-Ed448-SHAKE256"),
        "composite-ml-dsa-87-ec-p521": (54, b"COMPSIG-MLDSA87-ECDSA-P521-SHA512"),
    }
    for name, (arc, label) in expected.items():
        assert f"1.3.6.1.5.5.7.6.{arc}" == read_oid(COMPOSITES[name].identifier)
        assert label == COMPOSITES[name].label
    assert 18 == len(COMPOSITES)


@pytest.mark.parametrize(
    ("name", "public", "private"),
    [
        ("composite-ml-dsa-44-ec-p256", 1377, 83),
        ("composite-ml-dsa-65-ec-p384", 2049, 96),
        ("composite-ml-dsa-65-ec-brainpool-p256", 2017, 84),
        ("composite-ml-dsa-65-ed25519", 1984, 64),
        ("composite-ml-dsa-87-ec-p384", 2689, 96),
    ],
)
def test_keys_are_as_long_as_the_draft_says(name, public, private):
    """Table 4."""
    key = new_composite_key(name)
    entry = COMPOSITES[name]

    assert public == len(key_bits(key.public_key))
    wrapped = der.sequence(der.integer(0), entry.identifier, der.octet_string(bytes(private)))
    assert len(wrapped) == len(key.pkcs8)


def test_a_signature_needs_both_halves(key):
    """A flipped bit anywhere, another message, another key."""
    name = key.entry.name
    signature = key.sign(MESSAGE)
    first, last = bytearray(signature), bytearray(signature)
    first[7] ^= 1
    last[-1] ^= 1

    verify(key.public_key, name, signature, MESSAGE)

    assert len(signature) <= SIGNATURE_ALGORITHMS[name].octets
    for wrong in (bytes(first), bytes(last), signature[:-1], signature[:2420], b""):
        with pytest.raises(SignatureFaulty):
            verify(key.public_key, name, wrong, MESSAGE)
    with pytest.raises(SignatureFaulty):
        verify(key.public_key, name, signature, MESSAGE + b"!")
    other = "composite-ml-dsa-44-ec-p256" if "44-ed" in name else "composite-ml-dsa-44-ed25519"
    with pytest.raises(SignatureFaulty):
        verify(key.public_key, other, signature, MESSAGE)


def test_a_key_reads_as_written(key):
    """PKCS#8 in both directions; halves that do not fit are refused."""
    again = read_composite_key(key.pkcs8)

    assert key.entry.name == key_type(key.public_key)
    assert (key.public_key, key.pkcs8) == (again.public_key, again.pkcs8)
    assert "first" not in repr(key)
    check_public_key(key.public_key)
    for cut in (1, 40):
        with pytest.raises(MalformedRequest):
            read_composite_key(
                der.sequence(
                    der.integer(0), key.entry.identifier, der.octet_string(key.pkcs8[-cut:])
                )
            )
    short = der.sequence(key.entry.identifier, der.bit_string(key_bits(key.public_key)[:-1]))
    with pytest.raises(MalformedRequest):
        check_public_key(short)


def test_the_working_groups_own_vector_holds():
    """Its private key is read, and its signature verifies over its message alone."""
    octets = {name: base64.b64decode(VECTOR[name]) for name in ("pkcs8", "signature", "message")}
    theirs = read_composite_key(octets["pkcs8"])

    verify(theirs.public_key, VECTOR["name"], octets["signature"], octets["message"])

    assert VECTOR["name"] == theirs.entry.name
    assert theirs.pkcs8 == octets["pkcs8"]
    with pytest.raises(SignatureFaulty):
        verify(theirs.public_key, VECTOR["name"], octets["signature"], b"another message")


@given(octets=st.binary(max_size=120))
def test_no_key_raises_anything_but_malformed_request(octets):
    """Its octets come from strangers."""
    identifier = COMPOSITES["composite-ml-dsa-65-ec-p384"].identifier
    with pytest.raises(MalformedRequest):
        check_public_key(der.sequence(identifier, der.bit_string(octets)))
    with pytest.raises(MalformedRequest):
        read_composite_key(der.sequence(der.integer(0), identifier, der.octet_string(octets)))


def test_openssl_verifies_each_half_by_itself(tmp_path):
    """ML-DSA with the label as its context, ECDSA without anything (section 3.2)."""
    openssl = require_ml_dsa_openssl()
    key = new_composite_key("composite-ml-dsa-65-ec-p384")
    signature, signed = key.sign(MESSAGE), representative(key.entry, MESSAGE)
    assert signed.startswith(b"CompositeAlgorithmSignatures2025COMPSIG-MLDSA65-ECDSA-P384-SHA512\0")
    assert 32 + 33 + 1 + 64 == len(signed)
    files = {
        "first": signature[:3309],
        "second": signature[3309:],
        "signed": signed,
        "first.pub": pem(key.first),
        "second.pub": pem(key.second),
    }
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    label = key.entry.label.decode()

    for half, *options in (
        ("first", "-rawin", "-pkeyopt", f"context-string:{label}"),
        ("second", "-rawin", "-digest", "sha384"),
    ):
        keyed = ("pkeyutl", "-verify", "-pubin", "-inkey", f"{half}.pub", "-in", "signed")
        told = subprocess.run(
            [openssl, *keyed, "-sigfile", half, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Signature Verified Successfully" in told.stdout, told.stderr


def pem(private):
    assert isinstance(private, mldsa.MLDSA65PrivateKey | ec.EllipticCurvePrivateKey)
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
