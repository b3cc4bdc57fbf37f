"""What others put on a token, take from it, or see of it: SoftHSM2, python-pkcs11, OpenSC."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from hsm_agent.stores.store import NewKey, UnknownKey, Unsupported
from tests.hsm_agent.softhsm import make_softhsm

TBS = b"to be signed"
P256_PARAMS = bytes.fromhex("06082a8648ce3d030107")
GENERATE = """
def pair(key_id, name, **private):
    return session.generate_keypair(
        KeyType.EC, id=key_id, label=name, store=True, mechanism=Mechanism.EC_KEY_PAIR_GEN,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        public_template={Attribute.EC_PARAMS: params},
        private_template={Attribute[name]: value for name, value in private.items()},
    )
"""


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


def certificate(public_key, signer, serial=0x80):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Issuing CA")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, public_key, serial, start, start)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def test_keys_of_one_label_are_told_apart_by_their_id(store, softhsm):
    """The bare label is refused: it could mean either."""
    softhsm.python(
        f"params = {P256_PARAMS!r}\n{GENERATE}"
        'pair(b"\\x0a", "twin")\npair(b"\\x0b", "twin")\npair(b"\\x0c", "single")\n'
    )

    keys = by_label(store)

    assert {"id:0a", "id:0b", "single"} == set(keys)
    assert {"twin"} == {keys["id:0a"].details["label"], keys["id:0b"].details["label"]}
    with pytest.raises(UnknownKey, match="no key 'twin', or several of that label"):
        store.sign("twin", "ecdsa-sha256", TBS)
    for name in ("id:0a", "id:0b"):
        public = load_der_public_key(keys[name].public_key)
        public.verify(store.sign(name, "ecdsa-sha256", TBS), TBS, ec.ECDSA(hashes.SHA256()))


def test_keys_that_nothing_tells_apart_are_left_out(store, softhsm):
    """Nobody could say which of them signs."""
    softhsm.python(
        f"params = {P256_PARAMS!r}\n{GENERATE}"
        'pair(b"\\x0a", "twin")\npair(b"\\x0a", "twin")\npair(b"\\x0c", "single")\n'
    )

    assert {"single"} == set(by_label(store))
    with pytest.raises(UnknownKey):
        store.sign("id:0a", "ecdsa-sha256", TBS)


def test_a_key_that_can_be_copied_is_shown_as_such(store, softhsm):
    """Neither an extractable key nor one that is not sensitive looks like a good one."""
    softhsm.python(
        f"params = {P256_PARAMS!r}\n{GENERATE}"
        'pair(b"\\x0a", "open", EXTRACTABLE=True, SENSITIVE=False)\n'
        'pair(b"\\x0b", "wrappable", EXTRACTABLE=True, SENSITIVE=True)\n'
        'pair(b"\\x0c", "kept", EXTRACTABLE=False, SENSITIVE=True)\n'
    )

    told = {label: key.details["protection"] for label, key in by_label(store).items()}

    assert told["open"].startswith("EXTRACTABLE")
    assert told["wrappable"].startswith("EXTRACTABLE")
    assert "never left the token" == told["kept"]


def test_a_key_without_public_object_is_known_by_its_certificate(store, softhsm):
    """Tokens that keep no public objects, and EC keys whose private half tells no point."""
    made = store.generate(NewKey("issuing-1", "ec-p256"))
    signer = ec.generate_private_key(ec.SECP256R1())
    store.put_certificate("issuing-1", certificate(load_der_public_key(made.public_key), signer))

    softhsm.python("session.get_key(object_class=ObjectClass.PUBLIC_KEY).destroy()")

    assert made.public_key == by_label(store)["issuing-1"].public_key


def test_an_rsa_key_needs_no_public_object(store, softhsm):
    """Its private half tells modulus and exponent."""
    made = store.generate(NewKey("issuing-1", "rsa-2048"))

    softhsm.python("session.get_key(object_class=ObjectClass.PUBLIC_KEY).destroy()")

    assert made.public_key == by_label(store)["issuing-1"].public_key


def test_a_key_that_somebody_removed_is_unknown(store, softhsm):
    """The listing that is remembered gives way."""
    store.generate(NewKey("issuing-1", "ec-p256"))
    store.sign("issuing-1", "ecdsa-sha256", TBS)

    softhsm.tool("--delete-object", "--type", "privkey", "--label", "issuing-1")

    with pytest.raises(UnknownKey):
        store.sign("issuing-1", "ecdsa-sha256", TBS)
    assert [] == list(store.keys())


def test_a_certificate_is_kept_beside_the_key_and_replaced_by_the_next(store, softhsm):
    """OpenSC and others find it by the CKA_ID; writing the same again changes nothing."""
    made = store.generate(NewKey("issuing-1", "ec-p256"))
    public = load_der_public_key(made.public_key)
    signer = ec.generate_private_key(ec.SECP256R1())
    first, second = (certificate(public, signer, serial) for serial in (0x80, 0x7F))
    store.put_certificate("issuing-1", first)

    store.put_certificate("issuing-1", second)
    store.put_certificate("issuing-1", second)

    told = softhsm.python(
        "for found in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}):\n"
        "    print(found[Attribute.VALUE].hex(), found[Attribute.ID].hex(), found[Attribute.LABEL],"
        " found[Attribute.SERIAL_NUMBER].hex())"
    )
    assert f"{second.hex()} {made.details['id']} issuing-1 02017f\n" == told
    assert "subject:    DN: CN=Issuing CA" in softhsm.tool("--list-objects", "--type", "cert")


def test_a_certificate_over_another_key_is_refused(store):
    """It would make whoever reads the token believe a lie."""
    store.generate(NewKey("issuing-1", "ec-p256"))
    other = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(Unsupported, match="not over the key 'issuing-1'"):
        store.put_certificate("issuing-1", certificate(other.public_key(), other))
    with pytest.raises(Unsupported, match="no certificate"):
        store.put_certificate("issuing-1", b"\x30\x00")
    with pytest.raises(UnknownKey):
        store.put_certificate("issuing-2", certificate(other.public_key(), other))


def test_opensc_sees_what_was_made(store, softhsm):
    """Another program finds both halves, with label, id and the rights that they should have."""
    made = store.generate(NewKey("issuing-1", "rsa-2048"))

    told = softhsm.tool("--list-objects")

    assert 2 == told.count(f"  ID:         {made.details['id']}")
    assert 2 == told.count("  label:      issuing-1")
    assert "Access:     sensitive, always sensitive, never extractable, local" in told
    assert "Usage:      sign\n" in told
