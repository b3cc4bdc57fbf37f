"""Every type of key of a SoftHSM2 token: made, used, and its signatures verified twice."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.store import NewKey, UnknownKey, Unsupported
from pikaserver.testing.requirements import require_program
from tests.hsm_agent.softhsm import make_softhsm

KEY_TYPES = ("rsa-2048", "rsa-4096", "ec-p256", "ec-p384", "ec-p521", "ec-secp256k1")
MESSAGE_KEY_TYPES = ("ed25519", "ed448")
HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
TBS = b"\x30\x82\x04\xaf" + b"to be signed" * 100


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory):
    """Give one token for all tests of this file; nothing here changes what others see."""
    return make_softhsm(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="module")
def store(softhsm):
    store = softhsm.open()
    for key_type in (*KEY_TYPES, *MESSAGE_KEY_TYPES):
        store.generate(NewKey(key_type, key_type))
    yield store
    store.close()


def key_of(store, label):
    (key,) = [key for key in store.keys() if key.label == label]
    return key


def verify(public_key, algorithm, signature):
    """Raise unless cryptography finds the signature right, with a PSS salt as long as the hash."""
    key = load_der_public_key(public_key)
    family, _, hashed = algorithm.rpartition("-")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, TBS, ec.ECDSA(HASHES[hashed]()))
    elif isinstance(key, rsa.RSAPublicKey):
        digest = HASHES[hashed]()
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        key.verify(signature, TBS, pss if family == "rsa-pss" else padding.PKCS1v15(), digest)
    else:
        key.verify(signature, TBS)


def openssl_command(folder, public_key, algorithm, signature):
    """Write the files, and return the command that verifies with the openssl program."""
    (folder / "key.der").write_bytes(public_key)
    (folder / "tbs").write_bytes(TBS)
    (folder / "signature").write_bytes(signature)
    family, _, hashed = algorithm.rpartition("-")
    key = ["-pubin", "-keyform", "DER", "-inkey", "key.der"]
    command = [require_program("openssl", package="openssl"), "pkeyutl", "-verify", *key]
    command += ["-rawin", "-in", "tbs", "-sigfile", "signature"]
    if family:
        command += ["-digest", hashed]
    if family == "rsa-pss":
        command += ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
    return command


@pytest.mark.parametrize("key_type", [*KEY_TYPES, *MESSAGE_KEY_TYPES])
def test_signatures_of_every_algorithm_verify_with_cryptography(store, key_type):
    """The store hashes, pads and gives the form of X.509, whatever the token does itself."""
    key = key_of(store, key_type)

    assert key_type == key.key_type
    assert key.algorithms
    for algorithm in key.algorithms:
        verify(key.public_key, algorithm, store.sign(key_type, algorithm, TBS))


@pytest.mark.parametrize("key_type", [*KEY_TYPES, *MESSAGE_KEY_TYPES])
def test_signatures_of_every_algorithm_verify_with_openssl(store, softhsm, tmp_path, key_type):
    """A second, independent verifier agrees, and refuses the same signature over other octets."""
    key = key_of(store, key_type)

    for algorithm in key.algorithms:
        signature = store.sign(key_type, algorithm, TBS)
        command = openssl_command(tmp_path, key.public_key, algorithm, signature)
        assert "Verified Successfully" in softhsm.run(["env", "-C", tmp_path, *command]).stdout

        (tmp_path / "tbs").write_bytes(TBS + b"!")
        wrong = softhsm.run(["env", "-C", tmp_path, *command], check=False)
        assert 0 != wrong.returncode


def test_all_algorithms_of_a_type_are_offered(store):
    """RSA has both paddings, each curve every hash, Edwards curves only themselves."""
    rsa_names = {f"rsa{pss}-{name}" for pss in ("", "-pss") for name in HASHES}

    assert rsa_names == set(key_of(store, "rsa-2048").algorithms)
    assert {f"ecdsa-{name}" for name in HASHES} == set(key_of(store, "ec-p521").algorithms)
    assert ("ed25519",) == key_of(store, "ed25519").algorithms


def test_a_crl_of_megabytes_is_signed_by_a_key_that_takes_whole_messages(store):
    """Ed25519 cannot be hashed beforehand: all of it goes to the token, and past one buffer."""
    large = bytes(9_000_000)

    signature = store.sign("ed25519", "ed25519", large)

    load_der_public_key(key_of(store, "ed25519").public_key).verify(signature, large)


@pytest.mark.parametrize(
    ("label", "algorithm"),
    [("ec-p256", "rsa-sha256"), ("rsa-2048", "rsa-sha1"), ("ed25519", "ed448"), ("ed25519", "")],
)
def test_an_algorithm_that_is_not_the_keys_is_refused(store, label, algorithm):
    """Nothing is tried on the token."""
    with pytest.raises(Unsupported, match="does not sign"):
        store.sign(label, algorithm, TBS)


def test_a_key_that_is_not_there_is_named(store):
    """The sentence holds what was asked for."""
    with pytest.raises(UnknownKey, match="no key 'issuing-9'"):
        store.sign("issuing-9", "rsa-sha256", TBS)
