"""What one server has for its agents: made once, shared by all hooks."""

import logging
import socket
from functools import cached_property, partial
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from hsm_agent.wire.channel_kinds import ChannelKinds
from pikaserver.api.server import Server
from pikaserver_agents.asker import Asker
from pikaserver_agents.authority_uses import AuthorityUses
from pikaserver_agents.backend import AgentBackend
from pikaserver_agents.bundle_desk import BundleDesk
from pikaserver_agents.comparison import Comparison
from pikaserver_agents.complaints import Complaints
from pikaserver_agents.deeds import Deeds
from pikaserver_agents.directory import Directory
from pikaserver_agents.dispatch import Dispatcher, Posts
from pikaserver_agents.door import Door
from pikaserver_agents.enrollment import Enrollments
from pikaserver_agents.figures import Figures
from pikaserver_agents.inventory import Inventories
from pikaserver_agents.journals import Journals
from pikaserver_agents.keeper import Keeper
from pikaserver_agents.kept_certificates import KeptCertificates
from pikaserver_agents.ledger import Ledger
from pikaserver_agents.line import Line
from pikaserver_agents.lines import Lines
from pikaserver_agents.links import Links
from pikaserver_agents.listener import AgentListener, Contexts, Works, serve_with
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.node_identities import NodeIdentities
from pikaserver_agents.node_identity import NodeIdentity, NodeMaker
from pikaserver_agents.node_seal import NodeSeal
from pikaserver_agents.offline_post import OfflinePost
from pikaserver_agents.pulse import Pulse
from pikaserver_agents.reception import Reception, Staff
from pikaserver_agents.relay_desk import RelayDesk
from pikaserver_agents.relay_post import RelayPost
from pikaserver_agents.scribe import Scribe
from pikaserver_agents.service_certificates import service_certificates
from pikaserver_agents.settings import AgentSettings, host_and_port, join
from pikaserver_agents.steward import Steward
from pikaserver_agents.storage import nodes
from pikaserver_agents.whereabouts import Whereabouts

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

_log = logging.getLogger(__name__)


class Office:
    """The collaborators of one server; nothing is read or written before it is needed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings = server.settings(AgentSettings)
        self.now = milliseconds(server.clock)
        self.directory = Directory(server.database)
        self.uses = AuthorityUses(server.authorities)
        self.figures = Figures()
        self.complaints = Complaints(server)
        self.scribe = Scribe(server.database, server.node)
        self.lines = Lines(self.settings.queue)
        self.whereabouts = Whereabouts(server, self.directory, self.lines)
        self.ledger = Ledger(server, self.directory, self.scribe, self.figures)
        self.inventories = Inventories(server, self.directory)
        self.seal = NodeSeal(server.secrets)
        posts = Posts(
            RelayPost(server, self.identities, self.directory, self.whereabouts, self.complaints),
            OfflinePost(server),
        )
        self.dispatcher = Dispatcher(
            server, self.directory, self.lines, posts, self.whereabouts, self.ledger
        )
        self.asker = Asker(server, self.directory, self.lines, posts, self.whereabouts)
        self.journals = Journals(server, self.directory, self.asker.request_id)
        self.backend = AgentBackend(
            directory=self.directory,
            uses=self.uses,
            dispatcher=self.dispatcher,
            asker=self.asker,
            inventories=self.inventories,
            ledger=self.ledger,
            whereabouts=self.whereabouts,
            now=self.now,
            seal=self.seal,
        )
        self.deeds = Deeds(server, self.directory, self.uses)
        self.comparison = Comparison(server, self.directory, self.uses, self.asker)
        self.listener = AgentListener(self._works)

    @cached_property
    def maker(self) -> NodeMaker:
        """Makes this node's keys."""
        kinds = ChannelKinds(self.settings.tls_key, self.settings.frame_key)
        return NodeMaker(self.server, self.seal, kinds)

    @cached_property
    def identities(self) -> NodeIdentities:
        """This node's keys."""
        number = self.server.node
        return NodeIdentities(number, self.maker, self.directory, self._usual_address)

    def _usual_address(self) -> str:
        return self._address(self._bind()[1])

    @property
    def identity(self) -> NodeIdentity:
        """Who this node is to agents, by its newest keys."""
        return self.identities.newest()

    @cached_property
    def enrollments(self) -> Enrollments:
        """Codes, and those who come with one."""
        return Enrollments(self.server, self.directory, self.identities)

    @cached_property
    def bundles(self) -> BundleDesk:
        """Files for agents without a line."""
        return BundleDesk(
            self.server,
            self.directory,
            self.identities,
            self.journals,
            self.inventories,
            self.ledger,
        )

    def _works(self) -> Works:
        links = Links(self.server, self.lines, self.whereabouts)
        self.identities.present()  # a host that cannot use them does not start
        staff = Staff(
            directory=self.directory,
            lines=self.lines,
            links=links,
            complaints=self.complaints,
            enrollments=self.enrollments,
            scribe=self.scribe,
            steward=lambda line: self._steward(line, links),
        )
        reception = Reception(self.server, staff)
        serve = serve_with(reception, Contexts(self.identities, self.directory))
        door = Door(*self._bind(), serve, self.complaints)
        return Works(
            door=door,
            keeper=Keeper(self.directory, door, reception, self.lines, links, self.now),
            pulse=Pulse(self.lines, self.settings),
            relay=RelayDesk(self.server, self.lines),
            scribe=self.scribe,
            lines=self.lines,
            links=links,
            directory=self.directory,
            learn_address=self._learn_address,
        )

    def _steward(self, line: Line, links: Links) -> Steward:
        services = partial(service_certificates, self.server)
        certificates = KeptCertificates(
            self.uses, services, self.now, self.asker.request_id, line.agent
        )
        return Steward(line, self.lines, links, self.journals, self.inventories, certificates)

    def _bind(self) -> tuple[str, int]:
        found = host_and_port(self.settings.bind)
        assert found is not None  # noqa: S101 - the settings were checked
        return found

    def _address(self, port: int) -> str:
        """Return where agents reach this node: as told, else where it listens, else by name."""
        told = self.settings.address
        if told and host_and_port(told):
            return told
        host, _ = self._bind()
        if told:
            host = told
        elif host in WILDCARDS:
            url = self.server.base_url("health")
            host = (urlsplit(url).hostname if url else None) or socket.getfqdn()
        return join(host, port)

    def _learn_address(self, port: int) -> None:
        address = self._address(port)
        keys = self.directory.refresh().keys_of(self.server.node)
        if any(key.node.address != address for key in keys):
            with self.server.database.transaction() as connection:
                nodes.set_address(connection, self.server.node, address)
            self.directory.refresh()


# Each hook gets the same server, and all of them have to work on the same lines.  An office
# holds its server, so a number in here cannot come to mean another one while it lives; what
# hooks return holds the office.
_OFFICES: WeakValueDictionary[int, Office] = WeakValueDictionary()


def office_of(server: Server) -> Office:
    """Return the office of a server; it lives as long as somebody works with it."""
    found = _OFFICES.get(id(server))
    if found is None:
        found = _OFFICES[id(server)] = Office(server)
    return found
