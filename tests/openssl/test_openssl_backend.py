"""Keys ``openssl:NAME``: made, brought, opened, handed out, removed, and refused."""

import pytest

from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    NotFound,
    RequestRejected,
)
from pikaserver.api.signing import KeyDescription
from pikaserver.asn1 import der, ml_dsa, private_key_forms
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.signing.sealed_secrets import SealedSecrets, key_realm
from pikaserver.signing.sealing import KEY_OCTETS, FileKey
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.signing.software import new_private_key
from pikaserver.testing.damage import altered
from pikaserver_openssl import storage
from pikaserver_openssl.backend import OpensslBackend, _purpose
from tests.openssl.bouncycastle import require_bouncycastle
from tests.openssl.conftest import TBS, around, key

KINDS = ("ml-dsa-44", "slh-dsa-shake-128f", "ec-p384", "rsa-2048", "ed25519")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_made_kept_and_opened_again(house, kind):
    """A second process with the same database signs with it."""
    spki = house.backend.generate(key(), kind, exportable=False)

    signer = house.again().open(key(), default_algorithm(kind))

    assert kind == key_type(spki)
    assert spki == signer.public_key
    assert sign_tbs(signer, TBS, spki)
    assert sign_pieces(signer, lambda: [TBS], spki)
    assert [KeyDescription(key(), kind, spki, exportable=False)] == list(house.backend.keys())
    with pytest.raises(NotAllowed):
        house.backend.export_key(key())


@pytest.mark.parametrize("form", ["seed", "both", "expanded", "oqs"])
def test_keys_come_and_go_in_every_form(house, form):
    """RFC 9881 section 6, and oqsprovider's."""
    made = private_key_forms.read(new_private_key("ml-dsa-44"))
    pkcs8 = private_key_forms.write(made, form)

    spki = house.backend.import_key(key(), pkcs8, exportable=True)

    found = private_key_forms.read(house.backend.export_key(key()))
    assert made.public_key() == spki == found.public_key()
    assert ("seed" if form in ("seed", "both") else "expanded") == found.form
    assert sign_tbs(house.backend.open(key(), "ml-dsa-44"), TBS, spki)


MADE_ELSEWHERE = ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "SLH-DSA-SHA2-128F", "SLH-DSA-SHAKE-192F")


@pytest.fixture(scope="module")
def made_elsewhere(tmp_path_factory):
    """Keys and requests of BouncyCastle."""
    folder = tmp_path_factory.mktemp("bouncycastle")
    jobs = [f"make:{name}" for name in MADE_ELSEWHERE]
    assert [f"good {job}" for job in jobs] == require_bouncycastle()(folder, *jobs).splitlines()
    return folder


@pytest.mark.parametrize("name", MADE_ELSEWHERE)
def test_keys_and_requests_of_bouncycastle_are_read(house, made_elsewhere, name):
    """We verify its requests, and sign with its keys."""
    csr = read_csr((made_elsewhere / f"{name}.p10").read_bytes())
    pkcs8 = (made_elsewhere / f"{name}.pkcs8").read_bytes()

    verify_possession(csr)
    spki = house.backend.import_key(key(), pkcs8, exportable=False)

    assert csr.public_key == spki
    assert name.lower() == key_type(spki)
    assert sign_tbs(house.backend.open(key(), name.lower()), TBS, spki)


def test_what_is_stored_is_sealed(house):
    """Neither a seed nor an SLH-DSA key can be read from the table."""
    pkcs8 = new_private_key("ml-dsa-44")
    house.backend.import_key(key(), pkcs8, exportable=True)

    with house.server.database.reading() as connection:
        row = storage.get_key(connection, "one")

    assert pkcs8[-32:] not in row.sealed_key
    assert "sealed" not in repr(row)


def test_names_are_taken_once_and_have_a_form(house):
    """As those of software keys."""
    house.backend.generate(key(), "ed25519", exportable=False)

    with pytest.raises(Conflict):
        house.backend.generate(key(), "ed25519", exportable=False)
    for name in ("../one", "-one", "a b", "x" * 101):
        with pytest.raises(RequestRejected, match="not a key's name"):
            house.backend.generate(key(name), "ed25519", exportable=False)
    with pytest.raises(RequestRejected, match="not one of"):
        house.backend.generate(key("two"), "dsa-1024", exportable=False)
    with pytest.raises(RequestRejected, match="cannot do ed448"):
        house.backend.open(key(), "ed448")
    with pytest.raises(NotFound):
        house.backend.open(key("two"), "ed25519")


def test_a_removed_key_is_gone(house):
    """Also for who has it open."""
    house.backend.generate(key(), "ed25519", exportable=False)
    house.backend.open(key(), "ed25519")

    house.backend.remove_key(key())

    for ask in (house.backend.remove_key, house.backend.export_key):
        with pytest.raises(NotFound):
            ask(key())
    with pytest.raises(NotFound):
        house.backend.open(key(), "ed25519")


def bad_keys():
    """Keys that came damaged, by what is wrong with them."""
    _, expanded = ml_dsa.expand("ml-dsa-44", bytes(32))
    other, _ = ml_dsa.expand("ml-dsa-44", bytes([1] * 32))
    bent = bytes([*expanded[:-1], expanded[-1] ^ 1])
    return {
        "halves": der.sequence(der.octet_string(bytes(32)), der.octet_string(bent)),
        "foreign public half": der.octet_string(expanded + other),
        "expanded": der.octet_string(bent),
        "cut": der.octet_string(expanded[:-1]),
        "empty": b"",
    }


@pytest.mark.parametrize("fault", bad_keys())
def test_a_damaged_key_is_refused(house, fault):
    """Nothing is kept of it."""
    with pytest.raises(MalformedRequest):
        house.backend.import_key(key(), around("ml-dsa-44", bad_keys()[fault]), exportable=True)

    assert [] == list(house.backend.keys())


def test_an_slh_dsa_key_whose_root_is_wrong_is_refused(house):
    """Its signatures do not verify under the public half that it claims."""
    house.backend.generate(key(), "slh-dsa-sha2-128f", exportable=True)
    pkcs8 = house.backend.export_key(key())
    bent = bytes([*pkcs8[:-1], pkcs8[-1] ^ 1])

    with pytest.raises((MalformedRequest, RequestRejected)):
        house.backend.import_key(key("two"), bent, exportable=True)

    assert ["one"] == [one.reference.name for one in house.backend.keys()]


@pytest.mark.parametrize("octets", [b"", b"0\0", b"nonsense", der.sequence(der.null())])
def test_what_is_no_key_is_refused(house, octets):
    """In one sentence."""
    with pytest.raises((MalformedRequest, RequestRejected)):
        house.backend.import_key(key(), octets, exportable=True)


def test_altered_rows_do_not_open(house):
    """A key that was put under another name, or whose public half was exchanged."""
    house.backend.generate(key(), "ed25519", exportable=False)
    with house.server.database.transaction() as connection:
        row = storage.get_key(connection, "one")
        values = {"public_key": altered(row.public_key)}
        connection.execute(storage.key.update().values(values))

    with pytest.raises(KeyUnavailable):
        house.again().open(key(), "ed25519")


def test_another_plugin_opens_no_key(house):
    """It may read the table and knows the purpose; `Server.secrets` and other schemes fail."""
    entropy = house.server.entropy
    kek = FileKey(entropy(KEY_OCTETS), entropy)
    house.backend.seal_with(SealedSecrets(kek, entropy, key_realm("openssl")))
    house.backend.generate(key(), "ml-dsa-44", exportable=False)
    with house.server.database.reading() as connection:
        row = storage.get_key(connection, "one")

    for secrets in (SealedSecrets(kek, entropy), SealedSecrets(kek, entropy, key_realm("other"))):
        with pytest.raises(KeyUnavailable):
            secrets.open(_purpose(row.name, row.public_key), row.sealed_key)


def test_a_backend_waits_for_what_opens_its_keys(house):
    """Nothing is sealed by what every plugin has."""
    with pytest.raises(KeyUnavailable, match="before the server is there"):
        OpensslBackend(house.server, house.room).generate(key(), "ml-dsa-44", exportable=False)
