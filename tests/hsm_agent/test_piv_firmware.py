"""Which firmware may do what."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.stores.piv.firmware import (
    key_types,
    refuse_new_key,
    refuse_policy,
    refuse_public_key,
    refuse_use,
)
from tests.hsm_agent.piv_bench import RSA_KEYS
from tests.virtual_yubikey.keys import KeyType

ALL = ("rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ed25519")
SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


@pytest.mark.parametrize(
    ("firmware", "accepted", "expected"),
    [
        ((4, 1, 9), "", ("rsa-2048",)),
        ((4, 2, 0), "", ()),
        ((4, 3, 4), "", ()),
        ((4, 3, 5), "", ("rsa-2048",)),
        ((5, 4, 3), "", ("rsa-2048",)),
        ((5, 4, 3), "5.4.3", ("rsa-2048", "ec-p256", "ec-p384")),
        ((5, 4, 3), "5.4", ("rsa-2048",)),
        ((5, 6, 9), "5.4.3", ("rsa-2048",)),
        ((4, 3, 4), "4.3.4", ("ec-p256", "ec-p384")),
        ((5, 7, 0), "", ALL),
        ((5, 8, 0), "", ALL),
    ],
)
def test_each_firmware_makes_the_keys_that_it_makes_well(firmware, accepted, expected):
    """EUCLEAK below 5.7, ROCA from 4.2.0 to 4.3.4, new key types from 5.7; accepting is exact."""
    assert expected == key_types(firmware, accepted)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        (refuse_use((5, 4, 3), "ec-p256"), ["EUCLEAK", 'accept-firmware = "5.4.3"', "rsa-2048"]),
        (refuse_use((5, 6, 0), "ed25519"), ["ed25519 needs firmware 5.7", "5.6.0"]),
        (refuse_use((5, 7, 1), "rsa-1024"), ["rsa-1024 is no type"]),
        (refuse_use((5, 7, 1), "ec-p521"), ["ec-p521 is no type"]),
        (refuse_new_key((4, 3, 1), "rsa-2048"), ["ROCA", "import"]),
        (refuse_policy(fips=True, pin_policy="never"), ["FIPS", "once or always"]),
    ],
)
def test_a_refusal_says_why_and_what_to_do(sentence, words):
    """An operator reads it once and knows the way out."""
    assert all(word in sentence for word in words)


def test_an_rsa_key_that_was_imported_into_a_roca_card_may_sign():
    """The flaw was in making keys, not in using them."""
    assert "" == refuse_use((4, 3, 1), "rsa-2048")
    assert "" == refuse_policy(fips=False, pin_policy="never")


def test_a_roca_key_is_known_by_its_modulus_and_others_are_not():
    """Its primes are powers of 65537 modulo a product of small primes, and so is the modulus."""
    small = 1
    for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73):
        small *= prime
    for prime in (79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163):
        small *= prime
    modulus = small * (1 << 2048 - small.bit_length()) + pow(65537, 4711, small)
    weak = rsa.RSAPublicNumbers(65537, modulus | 1).public_key()

    assert "ROCA" in refuse_public_key(weak.public_bytes(*SPKI))
    for keys in (RSA_KEYS[KeyType.RSA2048], RSA_KEYS[KeyType.RSA3072]):
        assert "" == refuse_public_key(keys[0].public_key().public_bytes(*SPKI))
