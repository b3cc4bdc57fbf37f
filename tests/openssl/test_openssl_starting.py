"""What stops the start, and what is told of an OpenSSL that cannot be used."""

import pytest

from pikaserver.api.errors import (
    ConfigurationError,
    KeyUnavailable,
    RequestRejected,
)
from pikaserver.api.operations import HealthState
from pikaserver_openssl import storage
from pikaserver_openssl.plugin import (
    register_health_checks,
    register_signer_backends,
    room_of,
    startup,
)
from pikaserver_openssl.settings import OpensslSettings
from tests.openssl.conftest import OLD_LIBRARY, key


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
