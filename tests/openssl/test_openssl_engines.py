"""Both engines: every kind of key signs, and cryptography or our own code verifies."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from pikaserver.api.errors import SignatureFaulty
from pikaserver.asn1 import private_key_forms
from pikaserver.asn1.algorithms import (
    KEY_TYPES,
    SIGNATURE_ALGORITHMS,
    default_algorithm,
    key_type,
    public_key,
    verify,
)
from pikaserver.signing.software import new_private_key
from pikaserver_openssl import keys
from pikaserver_openssl.engine import KINDS, EngineFault, Way, way_of
from pikaserver_openssl.libcrypto import LibcryptoEngine
from pikaserver_openssl.settings import OpensslSettings
from tests.openssl.conftest import OLD_LIBRARY

MESSAGE = b"to be signed"
# The small sets of SLH-DSA take a second for each key; the fast ones have the same code.
QUICK = [
    name
    for name in KINDS
    if not (name.startswith("slh") and name.endswith("s")) and "40" not in name
]
ML_DSA = ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")


def sign(key, algorithm, message=MESSAGE):
    """Sign as the backend does it."""
    entry = SIGNATURE_ALGORITHMS[algorithm]
    return key.sign(message, way_of(entry.family, entry.hash))


def mu_of(spki, message):
    hasher = mldsa.MLDSAMuHasher(public_key(spki))
    hasher.update(message)
    return hasher.finalize()


def test_the_table_of_kinds_is_that_of_key_types():
    """All of our key types have a name in OpenSSL."""
    assert set(KEY_TYPES) == set(KINDS)


def test_openssl_3_5_offers_all_of_them(engine):
    """By the default provider alone."""
    assert dict.fromkeys(KINDS, "default") == dict(engine.offered)
    assert "OpenSSL 3." in engine.title


@pytest.mark.parametrize("kind", QUICK)
def test_keys_that_an_engine_makes_sign(engine, kind):
    """With each algorithm of the key; what comes back verifies over this message only."""
    key = engine.open(engine.generate(kind))

    assert kind == key_type(key.public_key)
    for algorithm, entry in SIGNATURE_ALGORITHMS.items():
        if entry.family in KEY_TYPES[kind].families:
            signature = sign(key, algorithm)
            verify(key.public_key, algorithm, signature, MESSAGE)
            with pytest.raises(SignatureFaulty):
                verify(key.public_key, algorithm, signature, MESSAGE + b"!")


def test_a_small_slh_dsa_set_signs(engine):
    """One of the slow ones by each engine."""
    key = engine.open(engine.generate("slh-dsa-sha2-128s"))

    verify(key.public_key, "slh-dsa-sha2-128s", key.sign(MESSAGE, Way()), MESSAGE)


@pytest.mark.parametrize("kind", ["rsa-2048", "ec-p256", "ed25519", *ML_DSA])
def test_software_keys_are_read(engine, kind):
    """PKCS#8 as cryptography writes it."""
    pkcs8 = new_private_key(kind)

    key = engine.open(pkcs8)

    algorithm = default_algorithm(kind)
    verify(key.public_key, algorithm, sign(key, algorithm), MESSAGE)


@pytest.mark.parametrize("kind", ML_DSA)
@pytest.mark.parametrize("form", private_key_forms.FORMS)
def test_every_form_of_a_key_is_the_same_key(engine, kind, form):
    """OpenSSL reads what we write, oqsprovider's form included."""
    found = private_key_forms.read(new_private_key(kind))

    key = engine.open(private_key_forms.write(found, form))

    assert found.public_key() == key.public_key
    verify(key.public_key, kind, key.sign(MESSAGE, Way()), MESSAGE)


@pytest.mark.parametrize("kind", ML_DSA)
def test_mu_stands_for_the_message(engine, kind):
    """FIPS 204 algorithm 7: an ordinary signature comes out."""
    key = engine.open(engine.generate(kind))

    signature = key.sign_mu(mu_of(key.public_key, MESSAGE))

    verify(key.public_key, kind, signature, MESSAGE)


def test_mu_of_other_keys_is_refused_and_not_signed_as_a_message(in_process, by_program):
    """A provider that does not know the parameter would pass over it."""
    for engine in (in_process, by_program):
        key = engine.open(engine.generate("ed25519"))
        assert not key.takes_mu
        with pytest.raises(EngineFault):
            key.sign_mu(bytes(64))


@pytest.mark.parametrize("octets", [b"", b"0\0", b"\x30\x80", bytes(100), b"not a key"])
def test_what_is_no_key_is_a_fault(engine, octets):
    """In one sentence of OpenSSL's; nothing hangs, nothing asks."""
    with pytest.raises(EngineFault, match="failed"):
        engine.open(octets)


def test_a_large_structure_is_signed(engine):
    """A CRL of some megabytes, by a key that needs the whole message."""
    message = bytes(3 << 20)
    key = engine.open(engine.generate("slh-dsa-sha2-128f"))

    verify(key.public_key, "slh-dsa-sha2-128f", key.sign(message, Way()), message)


def test_threads_share_a_key(in_process):
    """Each signature has a context of its own."""
    key = in_process.open(in_process.generate("ml-dsa-65"))

    def work(number):
        message = number.to_bytes(4, "big")
        verify(key.public_key, "ml-dsa-65", key.sign(message, Way()), message)
        with pytest.raises(EngineFault, match="unsupported"):
            in_process.open(b"0\0")
        return number

    with ThreadPoolExecutor(4) as pool:
        assert list(range(200)) == list(pool.map(work, range(200)))


def test_an_older_openssl_offers_what_it_has():
    """Debian 12: RSA, EC and the Edwards curves, and a sentence for the rest."""
    engine = LibcryptoEngine(OLD_LIBRARY, ["default"])
    if "ml-dsa-65" in engine.offered:
        pytest.skip("this system's own OpenSSL is new")

    key = engine.open(engine.generate("ec-p256"))

    verify(key.public_key, "ecdsa-sha256", sign(key, "ecdsa-sha256"), MESSAGE)
    for kind, cure in (("ml-dsa-65", "oqsprovider"), ("slh-dsa-sha2-128s", "OpenSSL 3.5")):
        with pytest.raises(EngineFault, match=cure):
            keys.check_offered(engine, kind)


@pytest.mark.parametrize(
    ("path", "providers", "modules", "words"),
    [
        ("/nowhere/libcrypto.so.3", ["default"], None, "cannot be loaded"),
        ("libc.so.6", ["default"], None, "is no OpenSSL 3"),
        (OLD_LIBRARY, ["default", "nosuchprovider"], "/nowhere", "'nosuchprovider' cannot be"),
    ],
)
def test_a_library_that_cannot_be_used_says_why(path, providers, modules, words):
    """Missing, something else, without its provider."""
    with pytest.raises(EngineFault, match=words):
        LibcryptoEngine(path, providers, modules)


@pytest.mark.parametrize("kind", ML_DSA)
@pytest.mark.parametrize("engine_name", ["libcrypto", "cli"])
def test_oqsprovider_signs_with_its_keys_and_ours(kind, engine_name):
    """Where ``PIKASERVER_TEST_OQSPROVIDER`` names its module; no package has one."""
    module = os.environ.get("PIKASERVER_TEST_OQSPROVIDER")
    if not module:
        pytest.skip("PIKASERVER_TEST_OQSPROVIDER names no module")
    path = Path(module)
    engine = OpensslSettings.model_validate(
        {
            "engine": engine_name,
            "providers": ["default", path.stem],
            "module-directory": str(path.parent),
        }
    ).load()

    for pkcs8 in (keys.kept(engine.generate(kind)), new_private_key(kind)):
        key = keys.opened(engine, pkcs8, bytes(32))
        verify(key.public_key, kind, key.sign(MESSAGE, Way()), MESSAGE)
        assert private_key_forms.read(pkcs8).public_key() == key.public_key
