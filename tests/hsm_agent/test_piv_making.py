"""Keys and certificates that come onto a card, and what keeps them away."""

import datetime as dt
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from hsm_agent.stores.piv.overview import slots
from hsm_agent.stores.store import (
    KeyExists,
    NewKey,
    PinNeeded,
    TokenFault,
    UnknownKey,
    Unsupported,
)
from tests.hsm_agent.piv_bench import (
    GENERATE,
    RSA_KEYS,
    Rack,
    made,
    new_card,
    open_bench,
    verifies,
    write_secret,
)
from tests.virtual_yubikey.attestation import Maker
from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.keys import KeyType

PKCS8 = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()


@pytest.fixture
def card():
    return new_card(maker=Maker(2))


@pytest.fixture
def store(tmp_path, card):
    return open_bench(tmp_path, Rack(card))


def certificate_over(public_key: bytes, filler: bytes = b"") -> bytes:
    """Return some certificate over a key, with so much more in it."""
    signer = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Issuing CA 1")])
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), filler)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(1)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
        .public_key(load_der_public_key(public_key))
        .add_extension(padding, critical=False)
        .sign(signer, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def test_a_slot_that_has_a_key_is_never_overwritten(store, card):
    """The key of an authority cannot come back."""
    made(store)

    with pytest.raises(KeyExists, match="there is a key in slot 9a"):
        made(store)
    with pytest.raises(KeyExists):
        store.import_key(
            NewKey("9a", ""), ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8)
        )

    assert 1 == len(card.exchanges(GENERATE))
    assert "9a" not in store.state().free


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        RSA_KEYS[KeyType.RSA2048][0],
    ],
)
def test_a_key_made_elsewhere_signs_and_has_no_attestation(store, key):
    """For a key that shall live on two cards, or move from a file."""
    taken = store.import_key(NewKey("83", ""), key.private_bytes(*PKCS8))

    assert "none: only a card's own keys have one" == taken.details["attestation"]
    assert ((), "imported") == (taken.attestation, taken.details["origin"])
    algorithm = taken.algorithms[0]
    assert verifies(taken.public_key, algorithm, b"x", store.sign("83", algorithm, b"x"))
    assert [taken] == store.keys()


@pytest.mark.parametrize(
    ("octets", "key_type", "words"),
    [
        (b"", "", "cannot be read as PKCS#8"),
        (b"0\x03\x02\x01\x00", "", "cannot be read as PKCS#8"),
        (ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8), "ec-p384", "not ec-p384"),
        (ec.generate_private_key(ec.SECP521R1()).private_bytes(*PKCS8), "", "no ec-p521 keys"),
        (ed448.Ed448PrivateKey.generate().private_bytes(*PKCS8), "", "has no such keys"),
        (rsa.generate_private_key(3, 2048).private_bytes(*PKCS8), "", "exponent"),
    ],
    ids=["nothing", "no key", "another type", "p-521", "ed448", "exponent 3"],
)
def test_a_key_that_the_card_cannot_take_is_refused(store, octets, key_type, words):
    """The card has one exponent, two curves, and no key of another kind."""
    with pytest.raises(Unsupported, match=words):
        store.import_key(NewKey("83", key_type), octets)

    assert [] == store.keys()


def test_the_certificate_stands_beside_its_key(store):
    """Other programs find it there; a long one is compressed."""
    public_key = made(store)
    short = certificate_over(public_key)
    long = certificate_over(public_key, bytes(5000))

    for certificate in (short, long):
        store.put_certificate("9a", certificate)
        assert certificate == store.certificates()["9a"]
        assert "CN=Issuing CA 1" == slots(store)[0].certificate


@pytest.mark.parametrize(
    "octets", [b"", b"nonsense", b"\x70\x05abc", b"\x70\x01a\x71\x01\x01\xfe\x00"]
)
def test_what_others_wrote_beside_a_key_does_not_hide_it(tmp_path, store, card, octets):
    """A certificate object of another program may hold anything."""
    public_key = made(store)
    store.close()
    card.memory.objects[0x5FC105] = octets

    again = open_bench(tmp_path, Rack(card))

    assert [public_key] == [key.public_key for key in again.keys()]
    assert b"" == again.certificates()["9a"]
    assert "" == slots(again)[0].certificate


@pytest.mark.parametrize("what", ["random", "foreign", "nonsense"])
def test_a_certificate_that_does_not_belong_there_is_refused(store, what):
    """Too long also when compressed; over another key; no certificate at all."""
    public_key = made(store)
    other = made(store, "9c")
    certificate = {
        "random": certificate_over(public_key, os.urandom(4000)),
        "foreign": certificate_over(other),
        "nonsense": b"0\x00",
    }[what]

    with pytest.raises(Unsupported):
        store.put_certificate("9a", certificate)
    with pytest.raises(UnknownKey):
        store.put_certificate("9d", certificate_over(public_key))
    assert b"" == store.certificates()["9a"]


@pytest.mark.parametrize("missing", ["PIN", "PUK", "management key"])
def test_a_card_with_a_value_of_the_factory_makes_and_uses_no_key(tmp_path, store, card, missing):
    """Everybody knows it: the sentence says which, and how to change it."""
    public_key = made(store)
    store.close()
    fresh = VirtualYubiKey()
    if missing == "PIN":
        card.memory.pin.restore()
    elif missing == "PUK":
        card.memory.puk.restore()
    else:
        card.memory.management = fresh.memory.management
    store = open_bench(tmp_path, Rack(card))

    with pytest.raises(PinNeeded, match=f"factory's {missing}, .* hsm-agent pin initialise"):
        store.sign("9a", "ecdsa-sha256", b"x")
    with pytest.raises(PinNeeded, match=missing):
        made(store, "9c")

    assert ["pin-needed"] == [key.state for key in store.keys()]
    assert missing in store.state().details["why"]
    assert [public_key] == [key.public_key for key in store.keys()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "management-key is missing"),
        ("zz", "no management key"),
        ("00" * 8, "32, 48 or 64 hexadecimal digits"),
        ("00" * 32, "this YubiKey's is AES192"),
        ("ff" * 24, "not this YubiKey's"),
    ],
)
def test_without_the_management_key_nothing_is_made(tmp_path, store, text, words):
    """Signing needs none."""
    public_key = made(store)
    (tmp_path / "management-key").unlink()
    if text is not None:
        write_secret(tmp_path / "management-key", text)

    with pytest.raises(PinNeeded, match=words):
        made(store, "9c")
    with pytest.raises(PinNeeded, match=words):
        store.put_certificate("9a", certificate_over(public_key))

    assert verifies(public_key, "ecdsa-sha256", b"x", store.sign("9a", "ecdsa-sha256", b"x"))


def test_a_fips_card_makes_no_key_without_a_pin(tmp_path):
    """It would refuse by itself, without a reason."""
    store = open_bench(tmp_path, Rack(new_card(fips=True)))

    with pytest.raises(Unsupported, match="FIPS makes no key with PIN policy never"):
        made(store, "9e", pin_policy="never")

    key = store.generate(NewKey("9e", "ec-p256"))
    assert "yes" == key.details["fips"]


def test_a_card_that_makes_a_key_with_other_policies_is_found_out(store, monkeypatch):
    """Policies are for ever, so they are read back."""
    monkeypatch.setattr(
        "hsm_agent.stores.piv.making._policies", lambda _card, _wanted: (1, 1), raising=True
    )

    with pytest.raises(TokenFault, match=r"PIN policy never .* not asked for"):
        made(store)
