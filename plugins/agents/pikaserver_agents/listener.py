"""The listener for signing agents: door, heartbeat, relay, and what looks after them."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from pikaserver_agents.directory import Directory
from pikaserver_agents.door import Door
from pikaserver_agents.keeper import Keeper
from pikaserver_agents.lines import Lines
from pikaserver_agents.links import Links
from pikaserver_agents.node_identities import NodeIdentities
from pikaserver_agents.pulse import Pulse
from pikaserver_agents.reception import Reception
from pikaserver_agents.relay_desk import RelayDesk
from pikaserver_agents.scribe import Scribe
from pikaserver_agents.tls_stream import Served, TlsStream


class Contexts:
    """The TLS contexts for the agents that may connect now."""

    def __init__(self, identities: NodeIdentities, directory: Directory) -> None:
        self._identities = identities
        self._directory = directory
        self._lock = Lock()
        self._made: tuple[tuple[object, ...], Served] | None = None

    def present(self) -> Served:
        """Return them, made anew when agents, or our own keys, came or went."""
        certificates = self._directory.view().certificates()
        identities = self._identities.present()
        what = (certificates, *(one.node.pin for one in identities))
        with self._lock:
            if self._made is None or self._made[0] != what:
                self._made = what, Served(identities, certificates)
            return self._made[1]


@dataclass(frozen=True, slots=True)
class Works:
    """Everything that runs while the listener does."""

    door: Door
    keeper: Keeper
    pulse: Pulse
    relay: RelayDesk
    scribe: Scribe
    lines: Lines
    links: Links
    directory: Directory
    learn_address: Callable[[int], None]


class AgentListener:
    """Implements ``pikaserver.api.web.Listener``."""

    def __init__(self, works: Callable[[], Works]) -> None:
        self._make = works
        self._works: Works | None = None

    @property
    def works(self) -> Works | None:
        """What runs, while it does."""
        return self._works

    @property
    def port(self) -> int:
        """See ``pikaserver.api.web.PortHolder``."""
        return self._works.door.port if self._works is not None else 0

    def start(self) -> None:
        """See the protocol.

        Raises:
            ConfigurationError: an agent may come, and the port is taken.
        """
        works = self._make()
        works.links.begin()
        if works.door.port == 0:
            works.door.bind()  # codes have to name the port that the system chooses
        if works.keeper.is_expecting(works.directory.refresh()):
            works.door.open()
        works.learn_address(works.door.port)
        works.scribe.start()
        works.pulse.start()
        works.relay.start()
        works.keeper.start()
        self._works = works

    def stop(self) -> None:
        """See the protocol."""
        works, self._works = self._works, None
        if works is None:
            return
        works.keeper.stop()
        works.door.close()
        for line in works.lines.present().values():
            line.dismiss("stopping", "the server stops")
        works.door.join()
        works.relay.stop()
        works.pulse.stop()
        works.scribe.stop()


def serve_with(
    reception: Reception, contexts: Contexts
) -> Callable[[socket.socket, str, Callable[[], None]], None]:
    """Return what a door calls for each connection."""

    def serve(line: socket.socket, address: str, known: Callable[[], None]) -> None:
        reception.serve(TlsStream(line, contexts.present()), address, known)

    return serve
