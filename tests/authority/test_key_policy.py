"""One policy on public keys: type, encoding, points, weak moduli, known keys."""

from math import gcd, prod

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.slh_dsa import PARAMETER_SETS
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.key_policy.lists import built_in_key_list
from pikaserver.authority.key_policy.policy import KeyPolicy
from tests.authority.judged_keys import ALL, octets, refusal


def rsa_spki(modulus, exponent=65537):
    """Write any numbers as an RSA key; cryptography would refuse some of them."""
    key = der.sequence(der.integer(modulus), der.integer(exponent))
    identifier = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.null())
    return der.sequence(identifier, der.bit_string(key))


@pytest.fixture(scope="module")
def modulus():
    """A product of two good primes of 1024 bits."""
    return rsa.generate_private_key(65537, 2048).public_key().public_numbers().n


@pytest.fixture(scope="module")
def policy():
    return KeyPolicy([built_in_key_list()])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("rsa-2048", lambda: rsa.generate_private_key(65537, 2048)),
        ("ec-p256", lambda: ec.generate_private_key(ec.SECP256R1())),
        ("ec-p384", lambda: ec.generate_private_key(ec.SECP384R1())),
        ("ec-p521", lambda: ec.generate_private_key(ec.SECP521R1())),
        ("ec-secp256k1", lambda: ec.generate_private_key(ec.SECP256K1())),
        ("ed25519", ed25519.Ed25519PrivateKey.generate),
        ("ed448", ed448.Ed448PrivateKey.generate),
        ("ml-dsa-44", mldsa.MLDSA44PrivateKey.generate),
        ("ml-dsa-65", mldsa.MLDSA65PrivateKey.generate),
        ("ml-dsa-87", mldsa.MLDSA87PrivateKey.generate),
    ],
)
def test_good_keys_of_all_types_pass(policy, name, make):
    """And only where the template allows the type; the text says what is allowed."""
    spki = octets(make().public_key())
    trace = DecisionTrace()

    assert name == policy.check_key(spki, ALL, trace)
    assert [("key", name, True)] == [
        (decision.rule, decision.asked, decision.allowed) for decision in trace.decisions
    ]
    text = refusal(policy, spki, frozenset({"rsa-8192"}))
    assert f"{name} keys are not allowed: allowed are rsa-8192" == text


@pytest.mark.parametrize("bits", [1024, 2047, 2049, 8192])
def test_other_sizes_of_rsa_are_refused(policy, bits):
    """The size is part of the type."""
    assert f"rsa-{bits} keys are not allowed" in refusal(policy, rsa_spki((1 << bits) - 1))


@pytest.mark.parametrize("exponent", [1, 3, 17, 65535, 65539, 2**32 + 1])
def test_the_exponent_is_65537(policy, modulus, exponent):
    """No other exponent is of any use, and small ones have hurt."""
    text = refusal(policy, rsa_spki(modulus, exponent))

    assert "exponent" in text or "not valid" in text


@pytest.mark.parametrize("factor", [2, 3, 5, 7, 743, 751])
def test_a_small_factor_is_found(policy, factor):
    """Baseline Requirements section 6.1.6: no factor smaller than 752."""
    other = 2**2047 // factor + 1
    while (other * factor).bit_length() != 2048 or gcd(other, 6) != 1:
        other += 1

    assert "factor below 752" in refusal(policy, rsa_spki(other * factor))


SMALL_PRIMES = prod(n for n in range(2, 752) if all(n % divisor for divisor in range(2, n)))


def without_small_factors(number):
    """Return the next such number: for Fermat's method it is as good as a prime."""
    while gcd(number, SMALL_PRIMES) != 1:
        number += 1
    return number


@pytest.mark.parametrize("distance", [0, 2, 10**100, 2**513], ids=["same", "2", "1e100", "2**513"])
def test_near_primes_are_found(policy, distance):
    """CVE-2022-26320: Fermat's method needs few rounds when the factors are near."""
    first = without_small_factors(3 * 2**1022 + 1)
    second = first if distance == 0 else without_small_factors(first + distance)

    assert "Fermat" in refusal(policy, rsa_spki(first * second))


def test_the_fingerprint_of_roca_is_found(policy):
    """CVE-2017-15361: primes of the form k * M + 65537**a mod M."""
    product = 1
    for prime in range(2, 702):
        if all(prime % divisor for divisor in range(2, prime)):
            product *= prime

    def weak_prime(start, exponent):
        candidate = start // product * product + pow(65537, exponent, product)
        while pow(2, candidate - 1, candidate) != 1:
            candidate += product
        return candidate

    modulus = weak_prime(3 * 2**1022, 1234567) * weak_prime(7 * 2**1021, 7654321)

    assert 2048 == modulus.bit_length()
    assert "ROCA" in refusal(policy, rsa_spki(modulus))


def test_the_published_sample_of_roca_is_found(policy):
    """A modulus from the test data of Let's Encrypt's boulder (goodkey/good_key_test.go)."""
    modulus = int(
        "19089470491547632015867380494603366846979936677899040455785311493700173635637619562546319"
        "43850597183898242968112135296839479266570495145413231144183173212404413518199276877422285"
        "28956644006812708974454155998519004613160709720220183179628895657318666015572383457863162"
        "35456299813772607869009873279585912430769332375239444892105064608255089298943707214066350"
        "23029212420831416117126546811177168751451882314449925033982504919968809982030485269638079"
        "76167370086213841072357564557358615064330651739331232591841140002824355009391234785911924"
        "13006994709825840573671701120771013072419520134975733578923370992644987545261926257"
    )

    assert "ROCA" in refusal(policy, rsa_spki(modulus))


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        b"\x30\x00",
        b"\x00" * 100,
        octets(x25519.X25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key()),
        octets(mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\x05" * 32).public_key())[:-1],
        der.sequence(der.sequence(der.oid("2.16.840.1.101.3.4.3.17")), der.bit_string(bytes(1311))),
        der.sequence(
            der.sequence(der.oid("2.16.840.1.101.3.4.3.17"), der.null()),
            der.bit_string(bytes(1312)),
        ),
        der.sequence(der.sequence(der.oid("2.16.840.1.101.3.4.3.32")), der.bit_string(bytes(1312))),
    ],
)
def test_other_keys_are_refused(policy, spki):
    """Not a key, of no known type, of the wrong length, with parameters, or HashML-DSA."""
    assert refusal(policy, spki)


def test_keys_that_anybody_has_are_refused(policy):
    """RFC 9500's test key, RFC 8032's example, a private number of one, a seed of zeros."""
    known = [
        ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
        ec.derive_private_key(1, ec.SECP384R1()),
        mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(range(32))),
    ]

    for key in known:
        text = refusal(policy, octets(key.public_key()))
        assert "publicly known: it is on the list known-keys.txt" in text


@given(st.binary(max_size=200))
def test_no_octets_break_the_policy(policy, raw):
    """Whatever stands in a CSR, the answer is a type or a refusal."""
    with pytest.raises(RequestRejected):
        policy.check_key(raw, ALL, DecisionTrace())


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_slh_dsa_keys_have_the_length_of_their_parameter_set(policy, name):
    """RFC 9909 section 5: two values of n octets, in one encoding."""
    identifier = KEY_TYPES[name].identifier
    bits = bytes(range(PARAMETER_SETS[name].public_octets))

    good = der.sequence(identifier, der.bit_string(bits))

    assert name == policy.check_key(good, ALL, DecisionTrace())
    for wrong in (bits[:-1], bits + b"\0", b""):
        spki = der.sequence(identifier, der.bit_string(wrong))
        assert "not as long as its RFC says" in refusal(policy, spki)
    assert "not allowed" in refusal(policy, good, ALL - {name})
