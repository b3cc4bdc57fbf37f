"""Paddings and digests that the card is given, against those of the library."""

import hashlib
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_agent.stores.piv.blocks import block_to_sign, ecdsa_digest
from hsm_agent.stores.store import Unsupported
from tests.hsm_agent.piv_bench import HASHES, RSA_KEYS, verifies
from tests.virtual_yubikey.keys import KeyType

KEYS = {"rsa-2048": RSA_KEYS[KeyType.RSA2048][0], "rsa-3072": RSA_KEYS[KeyType.RSA3072][0]}
SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


def raw(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """Do what the card does with a block."""
    numbers = key.private_numbers()
    result = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return result.to_bytes(key.key_size // 8, "big")


@pytest.mark.parametrize("key_type", KEYS)
@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("family", ["rsa", "rsa-pss"])
def test_rsa_blocks_become_signatures_that_the_library_accepts(key_type, hash_name, family):
    """RFC 8017 sections 8.1 and 8.2, with the salt as long as the hash."""
    key, algorithm = KEYS[key_type], f"{family}-{hash_name}"

    block = block_to_sign(key_type, algorithm, b"to be signed", os.urandom)

    public_key = key.public_key().public_bytes(*SPKI)
    assert verifies(public_key, algorithm, b"to be signed", raw(key, block))


@pytest.mark.parametrize("hash_name", HASHES)
def test_pkcs1_is_octet_for_octet_that_of_the_library(hash_name):
    """RSASSA-PKCS1-v1_5 leaves no choice: there is one signature only."""
    key = KEYS["rsa-2048"]

    block = block_to_sign("rsa-2048", f"rsa-{hash_name}", b"to be signed", os.urandom)

    assert key.sign(b"to be signed", padding.PKCS1v15(), HASHES[hash_name]) == raw(key, block)


def test_every_pss_block_has_a_salt_of_its_own_and_its_highest_bit_clear():
    """A block above the modulus would be refused by the card, now and then."""
    blocks = [block_to_sign("rsa-2048", "rsa-pss-sha256", b"x", os.urandom) for _ in range(64)]

    assert 64 == len(set(blocks))
    assert all(block[0] < 0x80 and len(block) == 256 for block in blocks)


@settings(deadline=None)
@given(data=st.binary(max_size=300), octets=st.sampled_from([32, 48]))
def test_a_digest_is_as_long_as_the_field_and_worth_the_same(data, octets):
    """FIPS 186-5 section 6.4.1: the leftmost bits of a long hash, all of a short one."""
    for name in HASHES:
        whole = hashlib.new(name, data).digest()

        digest = ecdsa_digest(octets, name, data)

        assert octets == len(digest)
        expected = whole[:octets] if len(whole) >= octets else whole
        assert int.from_bytes(expected, "big") == int.from_bytes(digest, "big")


def test_ed25519_sees_the_message_itself():
    """RFC 8032: Ed25519 hashes twice, so nobody can hash for it."""
    assert b"whole" == block_to_sign("ed25519", "ed25519", b"whole", os.urandom)


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        ("rsa-2048", "ecdsa-sha256"),
        ("ec-p256", "rsa-sha256"),
        ("ec-p256", "rsa-pss-sha256"),
        ("ec-p256", "ecdsa-sha1"),
        ("ec-p384", "ed25519"),
        ("ed25519", "ecdsa-sha512"),
        ("ed25519", "ml-dsa-65"),
        ("rsa-2048", "rsa-md5"),
        ("rsa-2048", ""),
    ],
)
def test_a_key_refuses_what_is_not_its_own(key_type, algorithm):
    """No padding is guessed."""
    with pytest.raises(Unsupported, match="does not sign with"):
        block_to_sign(key_type, algorithm, b"x", os.urandom)
