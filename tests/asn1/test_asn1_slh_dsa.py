"""SLH-DSA: every parameter set against OpenSSL's signatures, and everything else refused."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, algorithm_of, refuse_parameters, verify
from pikaserver.asn1.identifiers import identifier, key_bits
from pikaserver.asn1.slh_dsa import PARAMETER_SETS
from pikaserver.asn1.slh_dsa import verify as verify_raw
from pikaserver.testing.requirements import missing
from pikaserver_openssl.engine import Way
from pikaserver_openssl.libcrypto import LibcryptoEngine
from tests.openssl.conftest import ml_dsa_library

MESSAGE = b"to be signed"
FAST = [name for name in PARAMETER_SETS if name.endswith("f")]


@pytest.fixture(scope="module")
def signed():
    """Return key, signature of each parameter set; made once, for the small ones take a second."""
    path = ml_dsa_library() or missing("a libcrypto 3.5", "set PIKASERVER_TEST_LIBCRYPTO")
    engine, made = LibcryptoEngine(path, ["default"]), {}

    def signature(name):
        if name not in made:
            key = engine.open(engine.generate(name))
            made[name] = key.public_key, key.sign(MESSAGE, Way())
        return made[name]

    return signature


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_signatures_of_openssl_verify(signed, name):
    """FIPS 205 algorithm 24 with the empty context."""
    spki, signature = signed(name)

    verify(spki, name, signature, MESSAGE)

    assert SIGNATURE_ALGORITHMS[name].signature_octets(spki) == len(signature)
    for message in (MESSAGE + b"!", b"", b"\0" + MESSAGE):
        with pytest.raises(SignatureFaulty):
            verify(spki, name, signature, message)


@pytest.mark.parametrize("name", FAST)
def test_every_part_of_a_signature_counts(signed, name):
    """Randomiser, FORS keys and paths, each layer's chains and path."""
    spki, signature = signed(name)
    chosen = PARAMETER_SETS[name]
    fors = chosen.n * (1 + chosen.k * (1 + chosen.a))
    layer = chosen.n * (chosen.chains + chosen.tree_height)
    places = [0, chosen.n, fors - 1, fors, fors + layer - 1, len(signature) - layer]

    for at in (*places, len(signature) - 1):
        bent = bytearray(signature)
        bent[at] ^= 1
        with pytest.raises(SignatureFaulty):
            verify(spki, name, bytes(bent), MESSAGE)


@pytest.mark.parametrize("name", FAST)
def test_other_lengths_and_keys_verify_nothing(signed, name):
    """Nor does the signature of one parameter set count for another."""
    spki, signature = signed(name)
    public = key_bits(spki)

    for broken in (signature[:-1], signature + b"\0", b""):
        with pytest.raises(InvalidSignature):
            verify_raw(name, public, broken, MESSAGE)
    for key in (public[:-1], public + b"\0", b"", public[::-1]):
        with pytest.raises(InvalidSignature):
            verify_raw(name, key, signature, MESSAGE)
    for other in FAST:
        if other != name:
            with pytest.raises(SignatureFaulty):
                verify(spki, other, signature, MESSAGE)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_octets_that_nobody_signed_are_refused(data):
    """Whatever they are; nothing but InvalidSignature comes out."""
    chosen = PARAMETER_SETS[data.draw(st.sampled_from(FAST[:1] + FAST[3:4]))]
    seed = data.draw(st.binary(min_size=8, max_size=8))
    noise = hashlib.shake_256(seed).digest(chosen.signature_octets + chosen.public_octets)

    with pytest.raises(InvalidSignature):
        verify_raw(
            chosen.name, noise[: chosen.public_octets], noise[chosen.public_octets :], MESSAGE
        )


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_identifiers_have_no_parameters(name):
    """RFC 9909 section 3: absent, not even NULL; pre-hash keys are not ours."""
    entry = PARAMETER_SETS[name]

    assert name == algorithm_of(identifier(entry.oid))
    with pytest.raises(MalformedRequest, match="RFC 9909"):
        refuse_parameters(identifier(entry.oid, der.null()))
    arc = int(entry.oid.rpartition(".")[2]) + 15
    with pytest.raises(MalformedRequest, match="HashSLH-DSA"):
        algorithm_of(identifier(f"2.16.840.1.101.3.4.3.{arc}"))


def test_the_sizes_are_those_of_the_standard():
    """FIPS 205 table 2."""
    assert {
        "128s": (32, 7856),
        "128f": (32, 17088),
        "192s": (48, 16224),
        "192f": (48, 35664),
        "256s": (64, 29792),
        "256f": (64, 49856),
    } == {
        name[-4:]: (one.public_octets, one.signature_octets) for name, one in PARAMETER_SETS.items()
    }
