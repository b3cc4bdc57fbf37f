"""Keys of a SoftHSM2 token: listed, made, imported, told apart, and never to be had."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from hsm_agent.stores.store import KeyExists, NewKey, Unsupported
from tests.hsm_agent.softhsm import make_softhsm

TBS = b"to be signed"


@pytest.fixture
def softhsm(tmp_path):
    return make_softhsm(tmp_path / "softhsm")


@pytest.fixture
def store(softhsm):
    store = softhsm.open()
    yield store
    store.close()


def by_label(store):
    return {key.label: key for key in store.keys()}


def pkcs8(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_a_made_key_never_leaves_the_token(store, softhsm):
    """Neither its value nor a wrapped copy of it can be had, even with the PIN."""
    store.generate(NewKey("issuing-1", "ec-p256"))

    told = softhsm.python(
        """
key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="issuing-1")
wrapping = session.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP)
for deed in (lambda: key[Attribute.VALUE], lambda: wrapping.wrap_key(key)):
    try:
        print(deed())
    except PKCS11Error as error:
        print(type(error).__name__)
for name in ("SENSITIVE", "EXTRACTABLE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL",
             "PRIVATE", "SIGN", "DECRYPT", "UNWRAP", "DERIVE"):
    print(name, key[Attribute[name]])
"""
    ).splitlines()

    assert ["AttributeSensitive", "KeyUnextractable"] == told[:2]
    yes = ["SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "PRIVATE", "SIGN"]
    no = ["EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE"]
    assert {*(f"{name} True" for name in yes), *(f"{name} False" for name in no)} == set(told[2:])


def test_a_made_key_tells_where_it_has_been(store):
    """People read the details; the CKA_ID is fresh."""
    first = store.generate(NewKey("issuing-1", "ec-p256"))
    second = store.generate(NewKey("issuing-2", "ec-p256"))

    assert "generated" == first.details["origin"]
    assert "never left the token" == first.details["protection"]
    assert "once" == first.details["pin"]
    assert 40 == len(first.details["id"])
    assert first.details["id"] != second.details["id"]
    assert "ready" == first.state


@pytest.mark.parametrize(
    "new",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
    ],
    ids=["rsa-2048", "ec-p256", "ec-p521", "ed25519", "ed448"],
)
def test_an_imported_key_signs_and_cannot_be_read(store, softhsm, new):
    """It is told that it was outside once."""
    key = new()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    stored = store.import_key(NewKey("moved", ""), pkcs8(key))

    assert spki == stored.public_key == by_label(store)["moved"].public_key
    assert "imported" == stored.details["origin"]
    assert "stays in the token, but was outside once" == stored.details["protection"]
    signature = store.sign("moved", stored.algorithms[0], TBS)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        key.public_key().verify(signature, TBS, ec.ECDSA(hashes.SHA256()))
    else:
        assert signature == store.sign("moved", stored.algorithms[0], TBS)
    assert "sensitive" in softhsm.tool("--list-objects", "--type", "privkey")


def test_an_import_of_another_type_is_refused(store):
    """What is named must be what comes."""
    key = pkcs8(ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(Unsupported, match="is of type ec-p256, not rsa-2048"):
        store.import_key(NewKey("moved", "rsa-2048"), key)
    with pytest.raises(Unsupported, match="no private key in PKCS#8"):
        store.import_key(NewKey("moved", ""), key[:-1])

    assert [] == list(store.keys())


def test_a_label_is_given_once(store):
    """Neither a made nor an imported key takes the name of another; nothing is left behind."""
    first = store.generate(NewKey("issuing-1", "ec-p256"))

    with pytest.raises(KeyExists, match="'issuing-1'"):
        store.generate(NewKey("issuing-1", "ed25519"))
    with pytest.raises(KeyExists, match="'issuing-1'"):
        store.import_key(NewKey("issuing-1", ""), pkcs8(ed25519.Ed25519PrivateKey.generate()))

    assert [first] == list(store.keys())


@pytest.mark.parametrize("label", ["", "id:0a", "a\nb", "x" * 65])
def test_a_label_that_nobody_could_use_is_refused(store, label):
    """It could not be typed, or would mean another key."""
    with pytest.raises(Unsupported, match="is no label"):
        store.generate(NewKey(label, "ec-p256"))


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (NewKey("a", "ec-p256", touch_policy="always"), "nothing of touch"),
        (NewKey("a", "ec-p256", pin_policy="never"), "once or always"),
        (NewKey("a", "rsa-1024"), "'rsa-1024' is no type of key"),
        (NewKey("a", "ml-dsa-65"), "MechanismInvalid"),
    ],
)
def test_what_the_token_cannot_keep_is_refused(store, wanted, complaint):
    """Nobody relies on a policy, or a type, that is not there."""
    with pytest.raises(Unsupported, match=complaint):
        store.generate(wanted)

    assert [] == list(store.keys())


def test_the_token_offers_what_it_can_make(store):
    """Read from its list of mechanisms: ML-DSA is not there, and not offered."""
    offered = store.state().key_types

    assert {"rsa-2048", "rsa-4096", "ec-p256", "ec-p521", "ed25519"} <= set(offered)
    assert not {name for name in offered if name.startswith("ml-dsa")}


def test_a_key_that_wants_the_pin_each_time_gets_it(store, softhsm):
    """CKA_ALWAYS_AUTHENTICATE: the PIN goes with every signature, from the first one on."""
    made = store.generate(NewKey("root", "ec-p256", pin_policy="always"))

    assert "each signature" == made.details["pin"]
    for _ in range(3):
        signature = store.sign("root", "ecdsa-sha256", TBS)
        load_der_public_key(made.public_key).verify(signature, TBS, ec.ECDSA(hashes.SHA256()))
    assert "always authenticate" in softhsm.tool("--list-objects", "--type", "privkey").lower()


def test_softhsm_is_marked_as_a_trial(store):
    """It is a folder of files, whatever interface it has."""
    store.state()

    assert store.trial
    assert "SoftHSM project" == store.state().details["manufacturer"]


def test_a_second_process_uses_the_same_token(store, softhsm, tmp_path):
    """A command beside the running agent sees the same keys."""
    made = store.generate(NewKey("issuing-1", "ec-p256"))

    other = softhsm.open(tmp_path / "other")
    listed = list(other.keys())
    other.close()

    assert [made] == listed
