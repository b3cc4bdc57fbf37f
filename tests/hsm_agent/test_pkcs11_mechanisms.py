"""How signatures are asked of tokens with different mechanisms, and what comes back."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.stores.pkcs11.mechanisms import Operation, algorithms, operation, x509_signature
from hsm_agent.stores.pkcs11.new_keys import key_types
from hsm_agent.stores.store import TokenFault, Unsupported

RSA_PKCS, RSA_PKCS_PSS, SHA256_RSA_PKCS, SHA384_RSA_PKCS_PSS = 0x01, 0x0D, 0x40, 0x44
ECDSA, ECDSA_SHA384, EDDSA, ML_DSA = 0x1041, 0x1045, 0x1057, 0x1D
TBS = b"to be signed"


def test_the_agent_hashes_where_the_token_takes_digests():
    """A megabyte of CRL does not travel to a card that would hash it slowly."""
    pkcs1 = operation("rsa-sha256", "rsa-2048", TBS, {RSA_PKCS, SHA256_RSA_PKCS})
    ecdsa = operation("ecdsa-sha384", "ec-p384", TBS, {ECDSA, ECDSA_SHA384})

    info = bytes.fromhex("3031300d060960864801650304020105000420")
    assert Operation(RSA_PKCS, (), info + hashlib.sha256(TBS).digest()) == pkcs1
    assert Operation(ECDSA, (), hashlib.sha384(TBS).digest()) == ecdsa


def test_the_token_hashes_where_it_takes_nothing_else():
    """Some modules forbid bare digests: they get the message."""
    pkcs1 = operation("rsa-sha256", "rsa-2048", TBS, {SHA256_RSA_PKCS})
    ecdsa = operation("ecdsa-sha384", "ec-p384", TBS, {ECDSA_SHA384})

    assert Operation(SHA256_RSA_PKCS, (), TBS) == pkcs1
    assert Operation(ECDSA_SHA384, (), TBS) == ecdsa


@pytest.mark.parametrize("offered", [{RSA_PKCS_PSS}, {SHA384_RSA_PKCS_PSS}])
def test_pss_says_hash_mask_and_salt(offered):
    """The library's own defaults are SHA-1; RFC 4055 wants the salt as long as the hash."""
    pss = operation("rsa-pss-sha384", "rsa-4096", TBS, offered)

    assert (0x260, 3, 48) == pss.parameter


def test_a_digest_that_is_longer_than_the_curve_is_cut():
    """FIPS 186-5 section 6.4.1: tokens that do not do it themselves refuse the rest."""
    assert (
        hashlib.sha512(TBS).digest()[:32]
        == operation("ecdsa-sha512", "ec-p256", TBS, {ECDSA}).octets
    )


def test_ed448_says_that_it_is_not_prehashed():
    """PKCS#11 3.0 section 6.3.9: without parameters, a token may take it for something else."""
    assert Operation(EDDSA, (0,), TBS) == operation("ed448", "ed448", TBS, {EDDSA})
    assert Operation(EDDSA, (), TBS) == operation("ed25519", "ed25519", TBS, {EDDSA})


def test_only_what_the_token_has_is_offered():
    """A mechanism that is missing takes its algorithms with it."""
    assert ("rsa-sha256",) == algorithms("rsa-2048", {SHA256_RSA_PKCS})
    assert 3 == len(algorithms("ec-p256", {ECDSA}))
    assert () == algorithms("ed25519", {ECDSA, RSA_PKCS})
    assert ("ml-dsa-87",) == algorithms("ml-dsa-87", {ML_DSA})
    assert () == algorithms("rsa-1024", {RSA_PKCS})
    with pytest.raises(Unsupported):
        operation("rsa-pss-sha256", "rsa-2048", TBS, {RSA_PKCS})


@given(st.integers(1, (1 << 521) - 1), st.integers(1, (1 << 521) - 1))
def test_both_halves_of_a_raw_signature_are_kept(r, s):
    """X.509 wants them in DER (RFC 3279 section 2.2.3)."""
    raw = r.to_bytes(66, "big") + s.to_bytes(66, "big")

    assert (r, s) == decode_dss_signature(x509_signature("ecdsa-sha512", "ec-p521", raw))


@pytest.mark.parametrize(
    ("algorithm", "key_type", "octets"),
    [
        ("rsa-sha256", "rsa-2048", 256),
        ("ecdsa-sha256", "ec-p256", 64),
        ("ed25519", "ed25519", 64),
        ("ed448", "ed448", 114),
        ("ml-dsa-65", "ml-dsa-65", 3309),
    ],
)
def test_a_signature_of_another_length_is_none(algorithm, key_type, octets):
    """A token that answers nonsense is found out at once."""
    x509_signature(algorithm, key_type, bytes([1]) * octets)

    for wrong in (0, octets - 1, octets + 1):
        with pytest.raises(TokenFault, match=f"signature of {wrong} octets, not {octets}"):
            x509_signature(algorithm, key_type, bytes(wrong))


def test_key_types_follow_the_sizes_that_the_token_makes():
    """A card without RSA-4096 or Ed448 does not offer them."""
    makes = {0x00: (1024, 3072), 0x1040: (256, 384), 0x1055: (255, 255)}

    assert ("rsa-2048", "rsa-3072", "ec-p256", "ec-p384", "ec-secp256k1", "ed25519") == key_types(
        makes, {RSA_PKCS, ECDSA, EDDSA}
    )
    assert () == key_types(makes, {})
    assert ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87") == key_types({0x1C: (0, 0)}, {ML_DSA})
