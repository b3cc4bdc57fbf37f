"""The trial store: keys in files, of every type that signs."""

import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as some

from hsm_agent.stores.key_types import KEY_TYPES as STORE_TYPES
from hsm_agent.stores.key_types import algorithms_of
from hsm_agent.stores.ml_dsa_forms import from_both_forms
from hsm_agent.stores.software import SoftwareStore
from hsm_agent.stores.store import (
    KeyExists,
    NewKey,
    StoreError,
    TokenFault,
    UnknownKey,
    Unsupported,
)
from pikaserver.api.errors import SignatureFaulty
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS, key_type, verify
from pikaserver.signing.software import SOFTWARE_KEY_TYPES
from pikaserver.testing.openssl import require_ml_dsa_openssl

QUICK = [name for name in SOFTWARE_KEY_TYPES if not name.startswith("rsa-") or name == "rsa-2048"]


@pytest.fixture
def store(tmp_path):
    return SoftwareStore(tmp_path / "software-keys")


def pkcs8(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_it_has_every_key_type_that_the_servers_software_has():
    """One table on each side, and they agree on types and algorithms."""
    assert set(SOFTWARE_KEY_TYPES) == set(STORE_TYPES)
    for name in STORE_TYPES:
        kind = KEY_TYPES[name]
        known = {
            algorithm
            for algorithm, entry in SIGNATURE_ALGORITHMS.items()
            if entry.family in kind.families
        }
        assert known == set(algorithms_of(name))
        assert kind.default == algorithms_of(name)[0]


@pytest.mark.parametrize("wanted", QUICK)
def test_a_generated_key_signs_with_each_of_its_algorithms(store, wanted):
    """Signatures are as X.509 carries them: the server's own verifier takes them."""
    key = store.generate(NewKey("k", wanted))

    assert wanted == key.key_type == key_type(key.public_key)
    for algorithm in key.algorithms:
        verify(key.public_key, algorithm, store.sign("k", algorithm, b"tbs"), b"tbs")


def test_another_message_does_not_verify(store):
    """The verifier above is no better than what it refuses."""
    key = store.generate(NewKey("k", "ed25519"))

    with pytest.raises(SignatureFaulty):
        verify(key.public_key, "ed25519", store.sign("k", "ed25519", b"a"), b"b")


def test_keys_outlive_the_store(store, tmp_path):
    """What was made is found again, in files that are their owner's alone."""
    made = [store.generate(NewKey(label, "ec-p256")) for label in ("b", "a")]

    again = SoftwareStore(tmp_path / "software-keys")

    assert sorted(made, key=lambda key: key.label) == list(again.keys())
    modes = {stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "software-keys").iterdir()}
    assert {0o600} == modes


def test_it_says_what_it_is(store):
    """Trial, in the state, in every key, and in the folder itself."""
    key = store.generate(NewKey("k", "ed25519"))

    assert store.trial
    assert "trial" in store.state().details["protection"]
    assert "trial" in key.details["protection"]


def test_a_label_is_taken_once(store):
    """Nothing is ever overwritten."""
    store.generate(NewKey("k", "ed25519"))

    with pytest.raises(KeyExists):
        store.generate(NewKey("k", "ed25519"))
    with pytest.raises(KeyExists):
        store.import_key(NewKey("k", ""), pkcs8(ed25519.Ed25519PrivateKey.generate()))


@pytest.mark.parametrize("label", ["", ".", "..", "../x", "a/b", "a\0", "ä", "-x", "x" * 65])
def test_a_label_that_leads_elsewhere_is_refused(store, label):
    """A label is a file's name."""
    with pytest.raises(Unsupported):
        store.generate(NewKey(label, "ed25519"))
    with pytest.raises(Unsupported):
        store.sign(label, "ed25519", b"")


@pytest.mark.parametrize(
    ("algorithm", "error"),
    [("ecdsa-sha256", None), ("rsa-sha256", Unsupported), ("ecdsa-sha1", Unsupported)],
)
def test_only_algorithms_of_the_key_are_signed_with(store, algorithm, error):
    """An unknown one is refused in words."""
    store.generate(NewKey("k", "ec-p256"))

    if error is None:
        store.sign("k", algorithm, b"")
    else:
        with pytest.raises(error):
            store.sign("k", algorithm, b"")


def test_a_key_that_is_not_there_is_unknown(store):
    """Also when its file was removed while the store was open."""
    store.generate(NewKey("k", "ed25519"))
    store.sign("k", "ed25519", b"")
    (store._folder / "k.pem").unlink()  # noqa: SLF001 - somebody does

    with pytest.raises(UnknownKey):
        store.sign("k", "ed25519", b"")
    with pytest.raises(UnknownKey):
        store.put_certificate("k", b"der")


def test_a_key_that_others_can_read_is_not_used(store):
    """A mode that was changed is a key that was shown."""
    store.generate(NewKey("k", "ed25519"))
    (store._folder / "k.pem").chmod(0o644)  # noqa: SLF001 - somebody does
    store.close()

    with pytest.raises(TokenFault, match="chmod 600"):
        store.sign("k", "ed25519", b"")


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_a_key_from_elsewhere_is_taken(store, make):
    """PKCS#8 in DER; its type is found, or must be the one that was said."""
    octets = pkcs8(make())

    key = store.import_key(NewKey("k", ""), octets)

    verify(key.public_key, key.algorithms[0], store.sign("k", key.algorithms[0], b"x"), b"x")
    with pytest.raises(Unsupported, match="is of type"):
        store.import_key(NewKey("other", "ml-dsa-44"), octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"nonsense",
        pkcs8(x25519.X25519PrivateKey.generate()),
        pkcs8(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - too short on purpose
        pkcs8(ec.generate_private_key(ec.BrainpoolP256R1())),
    ],
    ids=["nothing", "nonsense", "x25519", "rsa-1024", "brainpool"],
)
def test_a_key_that_does_not_sign_here_is_refused(store, octets):
    """In words, and nothing is written."""
    with pytest.raises(Unsupported):
        store.import_key(NewKey("k", ""), octets)

    assert [] == list(store.keys())


@pytest.mark.parametrize("policy", [{"pin_policy": "once"}, {"touch_policy": "always"}])
def test_a_policy_that_a_file_cannot_keep_is_refused(store, policy):
    """Whoever asks for a touch must not get a key without one."""
    with pytest.raises(Unsupported, match="neither PIN nor touch"):
        store.generate(NewKey("k", "ed25519", **policy))


@pytest.mark.parametrize("name", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_ml_dsa_keys_as_openssl_writes_them_are_taken(store, tmp_path, name):
    """Seed and expanded key together, which our library does not read (RFC 9881 section 6)."""
    file = tmp_path / "key.der"
    command = [require_ml_dsa_openssl(), "genpkey", "-algorithm", name]
    subprocess.run([*command, "-outform", "DER", "-out", str(file)], check=True)

    key = store.import_key(NewKey("k", ""), file.read_bytes())

    assert name.lower() == key.key_type
    with pytest.raises(Unsupported, match="disagree"):
        store.import_key(NewKey("other", ""), spoilt(file.read_bytes()))


def spoilt(octets):
    """Return a key whose expanded half begins with another octet."""
    seed = octets.index(b"\x04\x20") + 2
    at = seed + 32 + 6
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


@given(some.binary(max_size=200))
def test_octets_that_are_no_key_are_told_from_one(octets):
    """The reader of OpenSSL's form raises nothing but what a store may."""
    try:
        found = from_both_forms(octets)
    except StoreError:
        return
    assert found is None
