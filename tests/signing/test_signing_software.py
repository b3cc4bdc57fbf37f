"""The software backend: keys made, kept sealed, opened once, exported only where allowed."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    NotFound,
    RequestRejected,
)
from pikaserver.api.signing import KeyDescription, KeyReference
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES, default_algorithm, key_type
from pikaserver.asn1.ml_dsa import expand
from pikaserver.signing.sealing import PassphraseKey
from pikaserver.signing.sign import sign_tbs
from pikaserver.signing.software import SOFTWARE_KEY_TYPES, SoftwareBackend

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISSUING = KeyReference("software", "issuing-1")
OTHER = KeyReference("software", "other")


class LockedKey:
    """A key-encryption key that nobody unlocks."""

    def seal(self, data_key, associated):
        """Refuse."""
        raise AssertionError("sealed")

    def open(self, sealed, associated):
        """Refuse."""
        raise AssertionError("unsealed")


@pytest.mark.parametrize("kind", SOFTWARE_KEY_TYPES)
def test_every_key_type_is_made_sealed_and_opened(backend, store, kek, entropy, kind):
    """A second process, with the same store and secret, signs with the key."""
    spki = backend.generate(ISSUING, kind, exportable=False)

    again = SoftwareBackend(store, kek, lambda: None, entropy)
    signer = again.open(ISSUING, default_algorithm(kind))

    assert kind == key_type(spki) == store.get("issuing-1").key_type
    assert spki == signer.public_key
    assert sign_tbs(signer, b"tbs", spki)
    assert [KeyDescription(ISSUING, kind, spki, exportable=False)] == list(again.keys())


def test_listing_unlocks_nothing(backend, store, entropy):
    """Commands that only list run without the passphrase."""
    spki = backend.generate(ISSUING, "ec-p256", exportable=True)
    locked = SoftwareBackend(store, LockedKey(), lambda: None, entropy)

    assert "software" == locked.scheme
    assert [KeyDescription(ISSUING, "ec-p256", spki, exportable=True)] == list(locked.keys())


def test_a_key_is_unsealed_once(backend, kek, monkeypatch):
    """The hot path touches neither the store nor the secret."""
    backend.generate(ISSUING, "rsa-2048", exportable=False)
    first = backend.open(ISSUING, "rsa-sha256")
    monkeypatch.setattr(kek, "open", LockedKey().open)

    assert first is backend.open(ISSUING, "rsa-sha256")
    assert "rsa-pss-sha512" == backend.open(ISSUING, "rsa-pss-sha512").algorithm
    backend.forget(ISSUING)
    with pytest.raises(AssertionError, match="unsealed"):
        backend.open(ISSUING, "rsa-sha256")


def test_threads_share_an_opened_key(backend):
    """Issuance runs on many threads at once."""
    spki = backend.generate(ISSUING, "ec-p256", exportable=False)

    def work(number):
        return sign_tbs(backend.open(ISSUING, "ecdsa-sha256"), str(number).encode(), spki)

    with ThreadPoolExecutor(8) as pool:
        assert 64 == len(set(pool.map(work, range(64))))


def test_a_name_is_used_once(backend):
    """A key is never overwritten."""
    backend.generate(ISSUING, "ed25519", exportable=False)

    with pytest.raises(Conflict):
        backend.generate(ISSUING, "ed25519", exportable=True)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "ä", "a" * 101, "a\n"])
def test_strange_names_are_refused(backend, store, name):
    """Names stand in settings, logs and commands."""
    with pytest.raises(RequestRejected, match="letters, digits"):
        backend.generate(KeyReference("software", name), "ed25519", exportable=False)
    assert [] == store.all()


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("ec-p256", "rsa-sha256"),
        ("rsa-2048", "ecdsa-sha256"),
        ("ed25519", "ed448"),
        ("ml-dsa-44", "ml-dsa-65"),
        ("ml-dsa-44", "rot13"),
    ],
)
def test_an_algorithm_of_another_key_type_is_refused(backend, kind, algorithm):
    """The sentence names key and algorithm."""
    backend.generate(ISSUING, kind, exportable=False)

    with pytest.raises(RequestRejected, match=f"{kind} key software:issuing-1 .* {algorithm}"):
        backend.open(ISSUING, algorithm)


def test_unknown_keys_and_types_are_refused(backend):
    """NotFound for a name, RequestRejected for a type."""
    for ask in (
        lambda: backend.open(ISSUING, "ed25519"),
        lambda: backend.export_key(ISSUING),
        lambda: backend.remove_key(ISSUING),
    ):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(RequestRejected, match="not rsa-1024"):
        backend.generate(ISSUING, "rsa-1024", exportable=False)
    _, expanded = expand("ml-dsa-44", bytes(32))
    for name, secret in (("ml-dsa-44", expanded), ("slh-dsa-sha2-128s", bytes(64))):
        identifier = KEY_TYPES[name].identifier
        pkcs8 = der.sequence(der.integer(0), identifier, der.octet_string(secret))
        with pytest.raises(RequestRejected, match="openssl:NAME"):
            backend.import_key(ISSUING, pkcs8, exportable=False)
    assert [] == list(backend.keys())
    with pytest.raises(RequestRejected, match="keep it as openssl:NAME"):
        backend.generate(ISSUING, "slh-dsa-sha2-128s", exportable=False)


@pytest.mark.parametrize("kind", ["rsa-2048", "ec-secp256k1", "ed448", "ml-dsa-87"])
def test_an_exportable_key_can_move(backend, kind):
    """Out as PKCS#8 and in again under another name: the same key."""
    spki = backend.generate(ISSUING, kind, exportable=True)

    moved = backend.import_key(OTHER, backend.export_key(ISSUING), exportable=False)

    assert spki == moved
    signer = backend.open(OTHER, default_algorithm(kind))
    assert sign_tbs(signer, b"tbs", spki)
    with pytest.raises(NotAllowed):
        backend.export_key(OTHER)


def test_what_cannot_be_imported_is_refused(backend, store):
    """No key, and a key too small."""
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    pkcs8 = small.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(RequestRejected, match="rsa-1024"):
        backend.import_key(ISSUING, pkcs8, exportable=False)
    with pytest.raises(MalformedRequest):
        backend.import_key(ISSUING, b"no key", exportable=False)
    assert [] == store.all()


def test_a_removed_key_is_gone(backend, store):
    """Also the opened one."""
    backend.generate(ISSUING, "ed25519", exportable=False)
    backend.open(ISSUING, "ed25519")

    backend.remove_key(ISSUING)

    assert [] == store.all()
    with pytest.raises(NotFound):
        backend.open(ISSUING, "ed25519")


def test_rows_cannot_be_exchanged_or_altered(backend, store):
    """Whoever writes into the database cannot make one key pass for another."""
    backend.generate(ISSUING, "ec-p256", exportable=False)
    backend.generate(OTHER, "ec-p256", exportable=False)
    mine, other = store.get("issuing-1"), store.get("other")
    flipped = bytes([mine.sealed_key[0] ^ 1]) + mine.sealed_key[1:]
    for altered in (
        replace(other, name="issuing-1"),
        replace(mine, public_key=other.public_key),
        replace(mine, sealed_key=other.sealed_key),
        replace(mine, sealed_key=flipped),
        replace(mine, sealed_key=b""),
        replace(mine, sealed_data_key=other.sealed_data_key),
        replace(mine, sealed_data_key=b""),
        replace(mine, version=2),
    ):
        store.rows["issuing-1"] = altered
        with pytest.raises(KeyUnavailable):
            backend.open(ISSUING, "ecdsa-sha256")


def test_nothing_is_sealed_with_a_wrong_passphrase(store, entropy):
    """Otherwise half of the keys would open with one passphrase, half with another."""
    first = SoftwareBackend(store, PassphraseKey(lambda: b"right", entropy), lambda: NOW, entropy)
    first.generate(ISSUING, "ed25519", exportable=False)
    wrong = SoftwareBackend(store, PassphraseKey(lambda: b"wrong", entropy), lambda: NOW, entropy)

    with pytest.raises(KeyUnavailable, match="passphrase does not open"):
        wrong.generate(OTHER, "ed25519", exportable=False)
    assert ["issuing-1"] == [row.name for row in store.all()]


def test_no_secret_shows_itself(backend, store, caplog):
    """Canary: the private key is in no log, error, representation or stored row."""
    caplog.set_level(logging.DEBUG)
    backend.generate(ISSUING, "ed25519", exportable=True)
    signer = backend.open(ISSUING, "ed25519")
    pkcs8 = backend.export_key(ISSUING)
    secret = load_der_private_key(pkcs8, None).private_bytes_raw()
    row = store.get("issuing-1")

    shown = f"{backend!r} {signer!r} {row!r} {list(backend.keys())!r} {caplog.text}"

    assert secret not in row.sealed_key + row.sealed_data_key + row.public_key
    assert secret.hex() not in shown
    assert repr(secret)[2:-1] not in shown
    assert "sealed_key" not in shown
