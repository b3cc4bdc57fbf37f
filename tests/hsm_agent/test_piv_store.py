"""The YubiKey as a store: keys made, listed, used, imported, certified."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.stores.piv.names import SLOTS
from hsm_agent.stores.store import (
    NewKey,
    Store,
    UnknownKey,
    Unsupported,
)
from tests.hsm_agent.piv_bench import (
    ATTEST,
    AUTHENTICATE,
    GENERATE,
    SERIAL,
    Rack,
    made,
    new_card,
    open_bench,
    verifies,
)
from tests.virtual_yubikey.attestation import Maker
from tests.virtual_yubikey.keys import KeyType, PinPolicy, SlotKey, TouchPolicy, generate

PKCS8 = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()


UNATTENDED = PinPolicy.ONCE, TouchPolicy.NEVER


@pytest.fixture
def card():
    return new_card(maker=Maker(2))


@pytest.fixture
def store(tmp_path, card):
    return open_bench(tmp_path, Rack(card))


def test_it_is_a_store(store):
    """The contract between the parts of the agent."""
    typed: Store = store

    assert ("piv", False) == (typed.kind, typed.trial)
    assert 24 == len(SLOTS)
    assert tuple(SLOTS) == store.state().free


@pytest.mark.parametrize(
    ("slot", "key_type"),
    [
        ("9a", "ec-p256"),
        ("9c", "ec-p384"),
        ("9d", "rsa-2048"),
        ("9e", "ed25519"),
        ("82", "rsa-3072"),
        ("95", "ec-p256"),
    ],
)
def test_each_type_in_each_class_of_slot_signs_with_all_its_algorithms(store, slot, key_type):
    """Made on the card, verified by the library."""
    key = store.generate(NewKey(slot, key_type))

    assert (slot, key_type, "ready") == (key.label, key.key_type, key.state)
    assert {"rsa": 6, "ec": 3, "ed25519": 1}[key_type.split("-")[0]] == len(key.algorithms)
    for algorithm in key.algorithms:
        signature = store.sign(slot, algorithm, b"to be signed")
        assert verifies(key.public_key, algorithm, b"to be signed", signature)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=3000), hash_name=st.sampled_from(["sha256", "sha384", "sha512"]))
def test_ecdsa_holds_for_any_message_and_hash(store, data, hash_name):
    """P-384 with SHA-256 is where yubikit pads wrongly; P-256 with SHA-512 cuts."""
    known = {key.label: key for key in store.keys()}
    for slot, key_type in (("9a", "ec-p256"), ("9c", "ec-p384")):
        key = known[slot] if slot in known else store.generate(NewKey(slot, key_type))
        algorithm = f"ecdsa-{hash_name}"
        assert verifies(key.public_key, algorithm, data, store.sign(slot, algorithm, data))


def test_the_list_tells_what_people_and_the_server_want_to_know(store):
    """Origin, policies, card, and an attestation that was verified."""
    public_key = made(store, "9c", "ec-p256", pin_policy="always", touch_policy="cached")

    (key,) = store.keys()

    assert ("9c", public_key, "ready") == (key.label, key.public_key, key.state)
    assert {
        "serial": str(SERIAL),
        "firmware": "5.7.1",
        "form-factor": "Keychain (USB-A)",
        "fips": "no",
        "origin": "generated",
        "pin-policy": "always",
        "touch-policy": "cached",
        "attestation": "verified: Test PIV Root CA",
    } == dict(key.details)
    leaf, own = (x509.load_der_x509_certificate(one) for one in key.attestation)
    leaf.verify_directly_issued_by(own)


def test_a_new_key_is_for_work_without_a_person(store):
    """PIN once, no touch, also in slots whose own habit is another; policies never change."""
    for slot in ("9a", "9c", "9e", "82"):
        made(store, slot)

    policies = {(key.details["pin-policy"], key.details["touch-policy"]) for key in store.keys()}
    assert {("once", "never")} == policies


def test_an_attestation_is_asked_for_once_and_kept(tmp_path, store, card):
    """Each is another certificate and costs a signature; the file outlives the process."""
    made(store)
    (first,) = store.keys()
    store.close()

    (again,) = open_bench(tmp_path, Rack(card)).keys()

    assert first.attestation == again.attestation
    assert 1 == len(card.exchanges(ATTEST))
    kept = tmp_path / "state" / "piv" / str(SERIAL) / "9a.der"
    assert first.attestation[0] == kept.read_bytes()


def test_a_kept_attestation_of_an_older_key_is_not_believed(tmp_path, store, card):
    """Somebody made another key in the slot with another program."""
    made(store)
    store.close()
    kind = KeyType.ECCP256
    card.memory.keys[0x9A] = SlotKey(kind, generate(kind), *UNATTENDED, generated=True)

    (key,) = open_bench(tmp_path, Rack(card)).keys()

    assert "verified: Test PIV Root CA" == key.details["attestation"]
    assert 2 == len(card.exchanges(ATTEST))


@pytest.mark.parametrize(
    ("roots", "verdict"),
    [([], "unverified: no root configured"), (None, "unverified: no configured root stands above")],
)
def test_an_unknown_maker_is_told_and_stops_nothing(tmp_path, card, roots, verdict):
    """The verdict is for people and for the server; Yubico's own roots do not know this card."""
    store = open_bench(tmp_path, Rack(card), attestation_roots=roots)

    key = store.generate(NewKey("9a", "ec-p256"))

    assert key.details["attestation"].startswith(verdict)
    assert verifies(key.public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (NewKey("9b", "ec-p256"), "no slot '9b'"),
        (NewKey("f9", "ec-p256"), "no slot 'f9'"),
        (NewKey("issuing", "ec-p256"), "no slot 'issuing'"),
        (NewKey("9a", "ec-p521"), "no ec-p521 keys"),
        (NewKey("9a", "ml-dsa-65"), "no ml-dsa-65 keys"),
        (NewKey("9a", "rsa-1024"), "no rsa-1024 keys"),
        (NewKey("9a", "ec-p256", pin_policy="sometimes"), "no PIN policy"),
        (NewKey("9a", "ec-p256", touch_policy="twice"), "no touch policy"),
    ],
)
def test_what_a_yubikey_does_not_have_is_said_before_it_is_asked(store, card, wanted, words):
    """Nothing was made."""
    with pytest.raises(Unsupported, match=words):
        store.generate(wanted)

    assert [] == card.exchanges(GENERATE)


def test_no_key_no_signature(store):
    """An empty slot, and one that does not exist."""
    with pytest.raises(UnknownKey, match="no key in slot 9a"):
        store.sign("9a", "ecdsa-sha256", b"x")
    with pytest.raises(Unsupported, match="no slot"):
        store.sign("77", "ecdsa-sha256", b"x")


def test_a_message_too_long_for_ed25519_is_refused_with_the_reason(store, card):
    """The card sees the whole message, and takes 3 kB; a CRL soon is longer."""
    public_key = made(store, "9a", "ed25519")

    assert verifies(public_key, "ed25519", bytes(3045), store.sign("9a", "ed25519", bytes(3045)))
    before = len(card.exchanges(AUTHENTICATE))
    with pytest.raises(Unsupported, match="at most 3045 octets"):
        store.sign("9a", "ed25519", bytes(3046))
    assert before == len(card.exchanges(AUTHENTICATE))


def test_keys_that_do_not_sign_are_shown_and_not_used(tmp_path, card):
    """RSA-1024 and X25519 lie in slots of older days."""
    for slot, kind in ((0x9A, KeyType.RSA1024), (0x9D, KeyType.X25519)):
        card.memory.keys[slot] = SlotKey(kind, generate(kind), *UNATTENDED, generated=True)
    store = open_bench(tmp_path, Rack(card))

    keys = {key.label: key for key in store.keys()}

    assert {"9a": "rsa-1024", "9d": "x25519"} == {name: k.key_type for name, k in keys.items()}
    assert all(() == key.algorithms for key in keys.values())
    assert "no type for a key that signs certificates" in keys["9a"].details["refused"]
    with pytest.raises(Unsupported, match="rsa-1024"):
        store.sign("9a", "rsa-sha256", b"x")
