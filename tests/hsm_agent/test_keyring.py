"""The keyring: all stores in one, by the hash of the public half."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsm_agent.keys.authority_certificates import AuthorityCertificates
from hsm_agent.keys.keyring import Keyring
from hsm_agent.stores.software import SoftwareStore
from hsm_agent.stores.store import (
    KeyExists,
    NewKey,
    PinLocked,
    StoreState,
    TokenAbsent,
    TokenFault,
    UnknownKey,
    Unsupported,
)


class Token:
    """A store that a test pulls out, locks, or slows down."""

    kind = "pkcs11"
    trial = False

    def __init__(self, folder):
        self._inside = SoftwareStore(folder)
        self.error = None
        self.during_keys = lambda: None
        self.certificates = []
        self.closed = False

    def state(self):
        if self.error is None:
            return StoreState("ready", ("ed25519",))
        return StoreState("absent", ("ed25519",))

    def keys(self):
        if self.error is not None:
            raise self.error
        found = self._inside.keys()
        self.during_keys()
        return found

    def sign(self, label, algorithm, data):
        return self._inside.sign(label, algorithm, data)

    def generate(self, wanted):
        return self._inside.generate(wanted)

    def import_key(self, wanted, pkcs8):
        return self._inside.import_key(wanted, pkcs8)

    def put_certificate(self, label, certificate):
        if self.error is not None:
            raise self.error
        self.certificates.append((label, certificate))

    def close(self):
        self.closed = True


@pytest.fixture
def token(tmp_path):
    return Token(tmp_path / "hsm")


@pytest.fixture
def other(tmp_path):
    return Token(tmp_path / "other")


@pytest.fixture
def certificates(tmp_path):
    return AuthorityCertificates(tmp_path / "certificates")


@pytest.fixture
def keyring(token, certificates):
    return Keyring({"hsm": token}, certificates)


def digest(key):
    return hashlib.sha256(key.public_key).digest()


def test_a_key_is_found_by_its_public_half(keyring, token):
    """Once the stores were looked into; what signs is the store."""
    made = token.generate(NewKey("k", "ed25519"))
    assert keyring.find(digest(made)) is None

    keyring.refresh()

    key = keyring.find(digest(made))
    assert ("hsm/k", False) == (key.name, key.trial)
    assert 64 == len(key.sign("ed25519", b"x"))


def test_a_new_key_is_there_at_once(keyring):
    """Nobody waits for the next look."""
    key = keyring.generate("k", "ed25519")

    assert key == keyring.find(key.spki_hash)
    assert [key] == list(keyring.keys())
    with pytest.raises(KeyExists):
        keyring.generate("hsm/k", "ed25519")


def test_a_key_that_is_made_while_somebody_looks_is_not_forgotten(keyring, token):
    """The listing that was taken before is thrown away."""
    keyring.generate("first", "ed25519")

    def make():
        token.during_keys = lambda: None
        keyring.generate("second", "ed25519")

    token.during_keys = make
    keyring.refresh()

    assert ["hsm/first", "hsm/second"] == [key.name for key in keyring.keys()]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (TokenAbsent("pulled"), "absent"),
        (TokenFault("broken"), "absent"),
        (PinLocked("locked"), "pin-locked"),
    ],
)
def test_keys_of_a_lost_token_stay_known(keyring, token, error, state):
    """The server is told that they are not usable now, and when they come back."""
    key = keyring.generate("k", "ed25519")
    keyring.refresh()
    told = []
    keyring.listen(lambda: told.append(keyring.find(key.spki_hash).stored.state))

    token.error = error
    assert keyring.refresh()
    assert not keyring.refresh()
    assert state == keyring.states()["hsm"].state
    token.error = None
    assert keyring.refresh()

    assert [state, "ready"] == told


def test_the_copy_of_a_key_that_can_sign_is_the_one_that_does(token, other, certificates):
    """The same key in two stores: one pulled token does not matter."""
    keyring = Keyring({"a": token, "b": other}, certificates)
    key = token.generate(NewKey("k", "ed25519"))
    source = (token._inside._folder / "k.pem").read_bytes()  # noqa: SLF001 - a backup
    other.generate(NewKey("k", "ed25519"))
    (other._inside._folder / "k.pem").write_bytes(source)  # noqa: SLF001 - restored
    keyring.refresh()
    assert "a/k" == keyring.find(digest(key)).name

    token.error = TokenAbsent("pulled")
    keyring.refresh()

    assert "b/k" == keyring.find(digest(key)).name


def test_a_bare_label_means_the_one_store_or_the_default(token, other, certificates):
    """Otherwise the store has to be said."""
    only = Keyring({"hsm": token}, certificates)
    two = Keyring({"a": token, "b": other}, certificates)
    default = Keyring({"a": token, "b": other}, certificates, default="b")

    assert "hsm/k" == only.full_name("k")
    assert "b/k" == default.full_name("k")
    assert "a/k" == two.full_name("a/k")
    with pytest.raises(Unsupported, match="STORE/LABEL"):
        two.full_name("k")
    with pytest.raises(UnknownKey, match="there is a, b"):
        two.full_name("c/k")


def test_a_key_is_named_by_its_label_where_that_is_clear(token, other, certificates):
    """And by its full name always."""
    keyring = Keyring({"a": token, "b": other}, certificates)
    for name in ("a/x", "a/y", "b/x"):
        keyring.generate(name, "ed25519")

    assert "a/y" == keyring.named("y").name
    assert "b/x" == keyring.named("b/x").name
    with pytest.raises(UnknownKey, match="one of a/x, b/x"):
        keyring.named("x")
    with pytest.raises(UnknownKey, match="no key here"):
        keyring.named("z")


def test_certificates_are_kept_with_the_key_and_on_disk(keyring, token, tmp_path):
    """The first one also in the store; after a restart they are known again."""
    key = keyring.generate("k", "ed25519")

    keyring.put_certificates(key.spki_hash, [b"own", b"above"])

    again = AuthorityCertificates(tmp_path / "certificates")
    assert (b"own", b"above") == keyring.find(key.spki_hash).certificates
    assert (b"own", b"above") == again.of(key.spki_hash)
    assert [("k", b"own")] == token.certificates


def test_a_store_without_room_does_not_matter(keyring, token):
    """Our own copy is what counts."""
    key = keyring.generate("k", "ed25519")
    token.error = Unsupported("no room")

    keyring.put_certificates(key.spki_hash, [b"own"])

    assert (b"own",) == keyring.find(key.spki_hash).certificates
    with pytest.raises(UnknownKey):
        keyring.put_certificates(bytes(32), [b"own"])


def test_all_stores_are_let_go(keyring, token):
    """Sessions and processes end with the agent."""
    keyring.close()

    assert token.closed


def test_a_key_is_brought_under_the_label_that_was_said(keyring):
    """Whatever the label in the wish was; policies of the wish are kept."""
    octets = Ed25519PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )

    key = keyring.import_key("hsm/new", octets, NewKey("old", "ed25519"))

    assert ("hsm/new", "ed25519") == (key.name, key.stored.key_type)
    assert [key] == list(keyring.keys())
