"""Keys that OpenSSL signs with: hooks."""

from weakref import WeakValueDictionary

from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import HealthCheck
from pikaserver.api.server import Server
from pikaserver.api.signing import SignerBackend
from pikaserver.api.storage import Migrations
from pikaserver_openssl.backend import OpensslBackend
from pikaserver_openssl.engine_room import EngineRoom
from pikaserver_openssl.settings import OpensslSettings
from pikaserver_openssl.storage import metadata

# Each hook gets the same server, and all of them have to work with the same engine.  A room
# holds its server, so a number in here cannot come to mean another one while it lives.
_ROOMS: WeakValueDictionary[int, EngineRoom] = WeakValueDictionary()


def room_of(server: Server) -> EngineRoom:
    """Return the engine room of a server; it lives as long as somebody works with it."""
    found = _ROOMS.get(id(server))
    if found is None:
        found = _ROOMS[id(server)] = EngineRoom(server)
    return found


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return OpensslSettings


@hookimpl
def register_migrations() -> Migrations:
    """See ``pikaserver.hookspecs``."""
    return Migrations("openssl", "pikaserver_openssl.migrations", metadata)


@hookimpl
def register_signer_backends(server: Server) -> list[SignerBackend]:
    """Offer keys ``openssl:NAME``."""
    return [OpensslBackend(server, room_of(server))]


@hookimpl
def register_health_checks(server: Server) -> list[HealthCheck]:
    """Tell which engine signs, and with what; ``pikaserver doctor`` shows it, too."""
    return [HealthCheck("openssl", room_of(server).health)]


@hookimpl
def startup(server: Server) -> None:
    """Try the engine before anything relies on it."""
    room_of(server).start()
