"""Keys from the attributes of strange tokens: told apart, or left out, and never an accident."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.stores.pkcs11.listing import token_keys
from hsm_agent.stores.pkcs11.public_keys import public_key

P256 = ec.derive_private_key(7, ec.SECP256R1()).public_key()
POINT = P256.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
SPKI = P256.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
CURVE = bytes.fromhex("06082a8648ce3d030107")
PRIVATE = {"signs": True, "label": b"issuing-1", "id": b"\x0a", "key-type": 3}
PUBLIC = {"id": b"\x0a", "key-type": 3, "curve": CURVE, "point": b"\x04\x41" + POINT}


def listed(private, public=(), certificates=()):
    answer = {"private": private, "public": list(public), "certificates": list(certificates)}
    return token_keys(answer, {0x1041})


@pytest.mark.parametrize("point", [POINT, b"\x04\x41" + POINT])
def test_a_point_is_read_with_and_without_its_octet_string(point):
    """Not every token wraps it."""
    told = listed([PRIVATE], [{**PUBLIC, "point": point}])

    assert SPKI == told["issuing-1"].stored.public_key


def test_every_raw_point_is_told_from_a_wrapped_one():
    """A raw point begins with 04 as well, and may go on with what looks like its length."""
    for secret in range(1, 600):
        key = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert key == public_key({"key-type": 3, "curve": CURVE, "point": point})


def test_the_private_half_may_tell_the_public_one():
    """CKA_PUBLIC_KEY_INFO of PKCS#11 2.40, and the parts of an RSA key."""
    numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    rsa_parts = {"modulus": numbers.n.to_bytes(256, "big"), "exponent": b"\1\0\1", "key-type": 0}

    told = listed([{**PRIVATE, "public-key-info": SPKI}, {**PRIVATE, **rsa_parts, "label": b"b"}])

    assert SPKI == told["issuing-1"].stored.public_key
    assert "rsa-2048" == told["b"].stored.key_type


def test_a_public_key_of_another_type_with_the_same_id_is_not_taken():
    """CKA_ID is free text: an Ed25519 and a P-256 key may share it."""
    point = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    other = {"id": b"\x0a", "key-type": 0x40, "point": point}

    assert SPKI == listed([PRIVATE], [other, PUBLIC])["issuing-1"].stored.public_key


@pytest.mark.parametrize(
    "private",
    [
        {**PRIVATE, "signs": False},
        {**PRIVATE, "id": b"\x0b"},
        {**PRIVATE, "label": b"", "id": b""},
        {**PRIVATE, "label": b"\xff", "id": b""},
    ],
)
def test_what_does_not_sign_or_has_no_name_or_no_public_half_is_left_out(private):
    """Nothing could be done with it."""
    assert {} == listed([private], [PUBLIC])


@pytest.mark.parametrize("label", [b"", b"\xff\xfe", b"a\nb", b"id:0b"])
def test_a_label_that_is_no_name_gives_way_to_the_id(label):
    """Nobody could type it, or it would look like the name of another key."""
    assert {"id:0a"} == set(listed([{**PRIVATE, "label": label}], [PUBLIC]))


def test_what_a_token_does_not_say_is_not_claimed():
    """Without CKA_EXTRACTABLE a key does not look safe, without CKA_LOCAL not made here."""
    told = listed([PRIVATE], [PUBLIC])["issuing-1"].stored.details

    assert "unknown" == told["origin"]
    assert told["protection"].startswith("EXTRACTABLE")


NAMES = (
    *("label", "id", "key-type", "modulus", "exponent", "curve", "point", "parameter-set"),
    *("value", "public-key-info", "signs", "sensitive", "extractable", "local"),
    "always-authenticate",
)
values = st.one_of(st.booleans(), st.integers(0, 70), st.binary(max_size=70), st.just("text"))
objects = st.lists(st.dictionaries(st.sampled_from(NAMES), values, max_size=8), max_size=3)


@given(objects, objects, objects)
def test_whatever_a_token_says_lists_keys_or_none(private, public, certificates):
    """A strange object must not hide the good keys beside it."""
    good = {**PRIVATE, "label": b"the good one", "id": b"\x99" * 20}
    half = {**PUBLIC, "id": b"\x99" * 20}

    told = listed([*private, good], [half, *public], certificates)

    assert SPKI == told["the good one"].stored.public_key
