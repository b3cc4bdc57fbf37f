"""Keys ``openssl:NAME``: made, brought, opened, handed out, removed, and refused."""

import hashlib

import pytest

from pikaserver.api.errors import (
    ConfigurationError,
    Conflict,
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    NotFound,
    RequestRejected,
    SignatureFaulty,
)
from pikaserver.api.operations import HealthState
from pikaserver.api.signing import KeyDescription, MuSigner
from pikaserver.asn1 import der, ml_dsa, private_key_forms
from pikaserver.asn1.algorithms import KEY_TYPES, default_algorithm, key_type
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.signing.sealed_secrets import SealedSecrets, key_realm
from pikaserver.signing.sealing import KEY_OCTETS, FileKey
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.signing.software import new_private_key
from pikaserver.testing.damage import altered
from pikaserver_openssl import keys, storage
from pikaserver_openssl.backend import OpensslBackend, _purpose
from pikaserver_openssl.engine import EngineFault, Way
from pikaserver_openssl.plugin import (
    register_health_checks,
    register_signer_backends,
    room_of,
    startup,
)
from pikaserver_openssl.settings import OpensslSettings
from tests.openssl.bouncycastle import require_bouncycastle
from tests.openssl.conftest import OLD_LIBRARY, key

TBS = b"octets to be signed"
KINDS = ("ml-dsa-44", "slh-dsa-shake-128f", "ec-p384", "rsa-2048", "ed25519")


def around(name, secret):
    return der.sequence(der.integer(0), KEY_TYPES[name].identifier, der.octet_string(secret))


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


class LyingKey:
    """A key of an OpenSSL that signs something else than the message."""

    takes_mu = True

    def __init__(self, honest):
        self.honest = honest
        self.public_key = honest.public_key

    def sign(self, message, way):
        """Sign the digest of the message, as ``dgst -sign`` does with oqsprovider."""
        return self.honest.sign(hashlib.sha256(message).digest(), way)

    def sign_mu(self, mu):
        """Sign mu as the message, as oqsprovider does."""
        return self.honest.sign(mu, Way())


class LyingEngine:
    """Makes such keys; with `mu_only` it lies about mu alone."""

    title = "a lying OpenSSL"

    def __init__(self, honest, *, mu_only):
        self.honest, self.mu_only = honest, mu_only
        self.offered = honest.offered

    def generate(self, kind):
        return self.honest.generate(kind)

    def open(self, pkcs8):
        lying = LyingKey(self.honest.open(pkcs8))
        if self.mu_only:
            lying.sign = lying.honest.sign
        return lying


def test_an_engine_that_signs_digests_is_found_out(make_house, in_process):
    """When a key is made, when it is opened, and by sign_tbs; nothing is released."""
    house = make_house()
    honest = house.again(in_process)
    spki = honest.generate(key(), "ml-dsa-44", exportable=False)
    signer = honest.open(key(), "ml-dsa-44")
    lying = house.again(LyingEngine(in_process, mu_only=False))

    with pytest.raises(MalformedRequest, match="does not verify"):
        lying.generate(key("two"), "ml-dsa-44", exportable=False)
    with pytest.raises(KeyUnavailable, match="does not verify"):
        lying.open(key(), "ml-dsa-44")
    bent = type(signer)(signer.algorithm, spki, LyingKey(signer.key), signer.way)
    with pytest.raises(SignatureFaulty):
        sign_tbs(bent, TBS, spki)
    with pytest.raises(SignatureFaulty):
        sign_pieces(bent, lambda: [TBS], spki)


def test_mu_is_only_used_where_it_is_understood(make_house, in_process):
    """Oqsprovider takes mu for the message, and says nothing."""
    house = make_house()
    spki = house.again(in_process).generate(key(), "ml-dsa-44", exportable=False)

    signer = house.again(LyingEngine(in_process, mu_only=True)).open(key(), "ml-dsa-44")

    assert not isinstance(signer, MuSigner)
    assert sign_pieces(signer, lambda: [TBS], spki)
    assert isinstance(house.again(in_process).open(key(), "ml-dsa-44"), MuSigner)


class OqsEngine:
    """Stands for OpenSSL 3.0 with oqsprovider, which reads no form but its own."""

    title = "OpenSSL 3.0 with oqsprovider"

    def __init__(self, real):
        self.real = real
        self.offered = {"ml-dsa-44": "oqsprovider"}

    def generate(self, kind):
        found = private_key_forms.read(self.real.generate(kind))
        return private_key_forms.write(found, "oqs")

    def open(self, pkcs8):
        if private_key_forms.read(pkcs8).form != "oqs":
            raise EngineFault("unsupported")
        return self.real.open(pkcs8)


def test_oqsprovider_is_given_its_own_form(in_process):
    """Whatever form a key came in, and its own keys become ours."""
    engine = OqsEngine(in_process)
    fresh = keys.kept(engine.generate("ml-dsa-44"))

    for pkcs8 in (fresh, new_private_key("ml-dsa-44")):
        opened = keys.opened(engine, pkcs8, bytes(32))
        assert private_key_forms.read(pkcs8).public_key() == opened.public_key
    assert "expanded" == private_key_forms.read(fresh).form
    with pytest.raises(EngineFault, match=r"OpenSSL 3\.5"):
        keys.opened(engine, around("slh-dsa-sha2-128s", bytes(64)), bytes(32))


def test_without_an_engine_keys_are_listed_and_the_rest_says_why(make_house, options):
    """Nobody falls back to anything."""
    good = make_house(**options)
    spki = good.backend.generate(key(), "ml-dsa-44", exportable=True)
    house = make_house(library="/nowhere/libcrypto.so.3")
    with good.server.database.reading() as connection:
        row = storage.get_key(connection, "one")
    with house.server.database.transaction() as connection:
        storage.add_key(connection, row)
    house.backend.seal_with(good.key_secrets)

    assert [spki] == [one.public_key for one in house.backend.keys()]
    assert house.backend.export_key(key())
    with pytest.raises(KeyUnavailable, match="cannot be loaded"):
        house.backend.open(key(), "ml-dsa-44")
    with pytest.raises(RequestRejected, match="cannot be loaded"):
        house.backend.generate(key("two"), "ml-dsa-44", exportable=False)
    assert HealthState.DEGRADED == house.room.health().state
    with pytest.raises(ConfigurationError, match=r"plugins\.openssl cannot be used"):
        house.room.start()


def test_the_start_stops_where_a_chosen_engine_fails(make_house):
    """Where nothing was chosen and no key is kept, nobody needs one."""
    with pytest.raises(ConfigurationError, match="nosuchprovider"):
        make_house(providers=["default", "nosuchprovider"]).room.start()
    with pytest.raises(ConfigurationError, match="cannot be started"):
        make_house(engine="cli", command="/nowhere/openssl").room.start()
    make_house().room.start()


def test_the_start_stops_where_a_stored_key_has_lost_its_provider(make_house):
    """The host was exchanged for one with an older OpenSSL."""
    house = make_house(library=OLD_LIBRARY)
    if "ml-dsa-44" in house.room.engine().offered:
        pytest.skip("this system's own OpenSSL is new")
    row = storage.KeyRow("one", "ml-dsa-44", b"", b"", exportable=False, created_at=0)
    with house.server.database.transaction() as connection:
        storage.add_key(connection, row)

    with pytest.raises(ConfigurationError, match=r"openssl:one: .* has no ml-dsa-44 keys"):
        house.room.start()
    assert HealthState.DEGRADED == house.room.health().state
    with pytest.raises(RequestRejected, match=r"OpenSSL 3\.5 has them"):
        house.backend.generate(key("two"), "slh-dsa-sha2-128s", exportable=False)


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


def test_the_plugin_offers_its_parts(make_house, options):
    """The doctor reads the sentence of the health check."""
    server = make_house(**options).server

    (backend,) = register_signer_backends(server)
    (check,) = register_health_checks(server)
    startup(server)

    health = check.check()
    assert "openssl" == backend.scheme
    assert HealthState.OK == health.state
    assert "ml-dsa (3), slh-dsa (12)" in health.detail
    assert room_of(server) is room_of(server)


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "pkcs11"},
        {"providers": []},
        {"providers": ["../evil"]},
        {"providers": ["-config"]},
        {"command": "openssl"},
        {"library": "./libcrypto.so"},
        {"module-directory": "modules"},
        {"processes": 0},
        {"timeout-seconds": 0},
        {"context": "x"},
        {"deterministic": True},
    ],
)
def test_other_settings_are_refused(wrong):
    """Nor is there a way to a context string, deterministic signatures or a hash."""
    with pytest.raises(ValueError, match="OpensslSettings"):
        OpensslSettings.model_validate(wrong)
