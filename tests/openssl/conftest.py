"""A libcrypto and a program that know ML-DSA, and a server in memory whose keys they sign with."""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from pikaserver.api.signing import KeyReference
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.signing.sealed_secrets import SealedSecrets, key_realm
from pikaserver.signing.sealing import KEY_OCTETS, FileKey
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import missing
from pikaserver_openssl.backend import OpensslBackend
from pikaserver_openssl.cli import CliEngine
from pikaserver_openssl.engine import EngineFault
from pikaserver_openssl.engine_room import EngineRoom
from pikaserver_openssl.libcrypto import LibcryptoEngine
from pikaserver_openssl.program import Program
from pikaserver_openssl.settings import OpensslSettings
from pikaserver_openssl.storage import metadata

TBS = b"octets to be signed"

OLD_LIBRARY = "libcrypto.so.3"


@cache
def ml_dsa_library():
    """Find a libcrypto of 3.5: a named one, the system's, or the one in psycopg's wheel."""
    spec = find_spec("psycopg_binary")
    wheel = Path(spec.origin).parents[1] / "psycopg_binary.libs" if spec else Path()
    named = os.environ.get("PIKASERVER_TEST_LIBCRYPTO")
    for path in filter(None, (named, OLD_LIBRARY, *map(str, wheel.glob("libcrypto*.so*")))):
        try:
            if "ml-dsa-65" in LibcryptoEngine(path, ["default"]).offered:
                return path
        except EngineFault:
            continue
    return None


def require_library():
    """Return its path, or skip."""
    return ml_dsa_library() or missing("a libcrypto 3.5", "set PIKASERVER_TEST_LIBCRYPTO")


@pytest.fixture(scope="session")
def library():
    return require_library()


@pytest.fixture(scope="session")
def program():
    return require_ml_dsa_openssl()


@pytest.fixture(scope="session", params=["libcrypto", "cli"])
def options(request):
    """Settings of each engine, as a file names them."""
    if request.param == "cli":
        return {"engine": "cli", "command": require_ml_dsa_openssl()}
    return {"engine": "libcrypto", "library": require_library()}


@pytest.fixture(scope="session")
def engine(options):
    return OpensslSettings.model_validate(options).load()


@pytest.fixture(scope="session")
def in_process(library):
    return LibcryptoEngine(library, ["default"])


@pytest.fixture(scope="session")
def by_program(program):
    return CliEngine(Program(program, 4, 30), ["default"])


class House:
    """A server in memory, its engine room, and its backend."""

    def __init__(self, **options):
        self.server = FakeServer([OpensslSettings.model_validate(options)])
        with self.server.database.transaction() as connection:
            metadata.create_all(connection)
        self.room = EngineRoom(self.server)
        self.key_secrets = SealedSecrets(
            FileKey(self.server.entropy(KEY_OCTETS), self.server.entropy),
            self.server.entropy,
            key_realm("openssl"),
        )
        self.backend = self._backend(self.room)

    def again(self, engine=None):
        """Return what a second process has: the same keys, nothing opened, any engine."""
        room = EngineRoom(self.server)
        if engine is not None:
            room.engine = lambda: engine
        return self._backend(room)

    def _backend(self, room):
        made = OpensslBackend(self.server, room)
        made.seal_with(self.key_secrets)
        return made


@pytest.fixture
def house(options):
    return House(**options)


@pytest.fixture
def make_house():
    return House


def key(name="one"):
    return KeyReference("openssl", name)


def around(name, secret):
    return der.sequence(der.integer(0), KEY_TYPES[name].identifier, der.octet_string(secret))
