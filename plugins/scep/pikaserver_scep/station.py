"""What one server has of SCEP."""

from weakref import WeakKeyDictionary

from pikaserver.api.server import Server
from pikaserver_scep.challenges.building import challenges
from pikaserver_scep.enrolling import Enrolling
from pikaserver_scep.looking_up import LookingUp
from pikaserver_scep.operations import Operations
from pikaserver_scep.registrars import Registrars
from pikaserver_scep.resources import PkiClient
from pikaserver_scep.settings import ScepSettings
from pikaserver_scep.transactions import Transactions


class Station:
    """The parts that work together, made once."""

    def __init__(self, server: Server) -> None:
        settings = server.settings(ScepSettings)
        desk = challenges(server, settings.challenges).desk
        registrars = Registrars(server.services, server.authorities, settings)
        self.transactions = Transactions(server, settings)
        enrolling = Enrolling(server, desk, self.transactions)
        operations = Operations(server, registrars, desk, enrolling, LookingUp(server))
        self.resource = PkiClient(server, operations, registrars, settings.default_template)


_stations: WeakKeyDictionary[Server, Station] = WeakKeyDictionary()


def station(server: Server) -> Station:
    """Return the station of a server; each hook of one server works with the same."""
    if server not in _stations:
        _stations[server] = Station(server)
    return _stations[server]
