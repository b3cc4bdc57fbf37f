"""What one server has of time-stamping."""

from collections.abc import Sequence
from datetime import timedelta
from weakref import WeakKeyDictionary

from pikaserver.api.server import Server
from pikaserver_tsa.resources import TimeStamps, unit_missing
from pikaserver_tsa.settings import TsaSettings
from pikaserver_tsa.stamping import Stamper, TimeStampUnit
from pikaserver_tsa.trusted_clock import TrustedClock


class Station:
    """What one server has of time-stamping: its clock, its units, its counters."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._settings = server.settings(TsaSettings)
        self.clock = TrustedClock(
            server,
            timedelta(milliseconds=self._settings.step_tolerance_milliseconds),
            timedelta(seconds=self._settings.settle_seconds),
        )
        self.stamper = Stamper(
            services=server.services, clock=self.clock, node=server.node, entropy=server.entropy
        )
        self.resource = TimeStamps(self.stamper, self.unit)

    def unit(self, authority: str | None, unit: str = "") -> TimeStampUnit:
        """Return a unit.

        Raises:
            NotFound: there is no such authority or unit.
        """
        name = authority or self._settings.default_authority or default_authority(self._server)
        self._server.authorities.get(name)
        settings = self._settings.of(name)
        if unit and unit not in settings.units:
            raise unit_missing(name, unit)
        return TimeStampUnit(name, unit, settings)


_stations: WeakKeyDictionary[Server, Station] = WeakKeyDictionary()


def station(server: Server) -> Station:
    """Return the station of a server; each hook of one server works with the same."""
    if server not in _stations:
        _stations[server] = Station(server)
    return _stations[server]


def default_authority(server: Server) -> str:
    """Return ``issuing`` where there is one, else the newest that has another one above it."""
    names: Sequence[str] = server.authorities.names()
    if "issuing" in names or not names:
        return "issuing"
    below = [
        name
        for name in names
        if any(one.chain for one in server.authorities.get(name).generations if one.current)
    ]
    return (below or names)[-1]
