"""Forms of post-quantum private keys: read, written, and refused where parts disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der, ml_dsa, slh_dsa
from pikaserver.asn1.algorithms import KEY_TYPES, key_type
from pikaserver.asn1.identifiers import key_bits
from pikaserver.asn1.private_key_forms import FORMS, PrivateKey, read, write

NAMES = tuple(ml_dsa.PARAMETER_SETS)
SLH_NAMES = tuple(slh_dsa.PARAMETER_SETS)


def around(name, secret, *after, version=0):
    """Return PKCS#8 with these octets as privateKey."""
    identifier = KEY_TYPES[name].identifier
    return der.sequence(der.integer(version), identifier, der.octet_string(secret), *after)


def bent(octets, at, by=1):
    """Return octets with one of them changed."""
    return bytes([*octets[:at], octets[at] ^ by, *octets[at + 1 :]])


@pytest.mark.parametrize("name", NAMES)
def test_every_form_is_read_as_it_was_written(name):
    """RFC 9881 section 6 and oqsprovider's; each direction where the seed is there."""
    key = PrivateKey(name, "seed", bytes(range(32)))
    public = key.public_key()

    for form in FORMS:
        found = read(write(key, form))

        assert (name, form, public) == (found.key_type, found.form, found.public_key())
        assert key.with_expanded().expanded == found.with_expanded().expanded
    assert name == key_type(public)
    assert ml_dsa.PARAMETER_SETS[name].public_octets == len(key_bits(public))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", ["rho", "tr", "s1", "s2", "t0"])
def test_an_expanded_key_is_checked_whole(name, part):
    """RFC 9881 appendix C.4: keys whose parts contradict each other, in every form."""
    chosen = ml_dsa.PARAMETER_SETS[name]
    public, expanded = ml_dsa.expand(name, bytes(32))
    small = 32 * chosen.small_bits
    at = {
        "rho": 0,
        "tr": 64,
        "s1": 128,
        "s2": 128 + small * chosen.l,
        "t0": chosen.expanded_octets - 1,
    }[part]
    broken = bent(expanded, at)

    for secret in (
        broken,
        der.octet_string(broken),
        der.octet_string(broken + public),
        der.sequence(der.octet_string(bytes(32)), der.octet_string(broken)),
    ):
        with pytest.raises(MalformedRequest):
            read(around(name, secret))


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_out_of_range_are_refused(name):
    """FIPS 204 algorithm 25: what encodes no coefficient of s1 comes from no key."""
    _, expanded = ml_dsa.expand(name, bytes(32))
    broken = expanded[:128] + b"\xff" + expanded[129:]

    with pytest.raises(MalformedRequest, match="too large"):
        read(around(name, der.octet_string(broken)))


def test_the_public_key_beside_a_key_must_be_its_own():
    """RFC 5958 section 2: OneAsymmetricKey may carry it."""
    public, _ = ml_dsa.expand("ml-dsa-44", bytes(32))
    seed = der.context(0, bytes(32), constructed=False)

    good = der.context(1, b"\0" + public, constructed=False)
    assert "seed" == read(around("ml-dsa-44", seed, good, version=1)).form
    for wrong in (b"\0" + bent(public, 0), b"\1" + public, b""):
        beside = der.context(1, wrong, constructed=False)
        with pytest.raises(MalformedRequest):
            read(around("ml-dsa-44", seed, beside, version=1))
    for after in (der.null(), good + good, der.context(0, b"") * 2):
        with pytest.raises(MalformedRequest):
            read(around("ml-dsa-44", seed, after))
    with pytest.raises(MalformedRequest):
        read(around("ml-dsa-44", seed, version=2))


@pytest.mark.parametrize("name", SLH_NAMES)
def test_slh_dsa_keys_are_their_four_parts(name):
    """RFC 9909 section 7: raw octets, of which the second half is the public key."""
    size = slh_dsa.PARAMETER_SETS[name].private_octets
    secret = bytes(number % 256 for number in range(size))

    found = read(around(name, secret))

    assert (name, "raw", secret[size // 2 :]) == (
        found.key_type,
        found.form,
        key_bits(found.public_key()),
    )
    assert around(name, secret) == write(found, "seed")
    for wrong in (secret[:-1], secret + b"\0", der.octet_string(secret), b""):
        with pytest.raises(MalformedRequest):
            read(around(name, wrong))


def test_other_keys_are_left_to_others():
    """An RSA key is none of ours; what is no key is refused."""
    rsa = der.sequence(der.integer(0), KEY_TYPES["rsa-2048"].identifier, der.octet_string(b""))

    assert read(rsa) is None
    for octets in (der.null(), der.sequence(), rsa[:-1]):
        with pytest.raises(MalformedRequest):
            read(octets)


@given(st.sampled_from((*NAMES, *SLH_NAMES)), st.binary(max_size=200))
def test_no_octets_raise_anything_but_malformed(name, secret):
    """Whatever stands in privateKey."""
    try:
        found = read(around(name, secret))
    except MalformedRequest:
        return
    assert found is not None


def test_a_key_without_a_seed_has_no_form_with_one():
    """FIPS 204: there is no way back from the expanded key."""
    _, expanded = ml_dsa.expand("ml-dsa-44", bytes(32))
    key = read(around("ml-dsa-44", der.octet_string(expanded)))

    for form in ("seed", "both"):
        with pytest.raises(RequestRejected, match="no seed"):
            write(key, form)
    assert "expanded=" not in repr(key)
