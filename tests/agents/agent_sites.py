"""A server in memory with the listener for agents, and the agents made for it."""

from dataclasses import dataclass
from datetime import timedelta

from pikaserver.api.signing import KeyReference
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.patience import until
from pikaserver_agents.enrollment import CodeWish
from pikaserver_agents.office import Office
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.storage.codes import Purpose
from pikaserver_agents.storage.tables import metadata


@dataclass
class Site:
    """A server with its office, and the agents that were made for it."""

    server: FakeServer
    office: Office
    agents: list

    def code(self, name, purpose=Purpose.ENROLL, **wish):
        """Make a code and return its text."""
        validity = wish.pop("validity", timedelta(minutes=15))
        code, _ = self.office.enrollments.make_code(
            CodeWish(name, purpose, validity, **wish), "cli:tester"
        )
        return code.text()

    def agent(self, name="vault-a", *keys, connect=True):
        """Return an agent that is enrolled, has these keys, and a line."""
        agent = FakeAgent(name, clock=self.server.clock)
        self.agents.append(agent)
        for key in keys:
            agent.desk.make_key(key)
        code = self.code(name)
        self.open_door()
        agent.enroll(code)
        if connect:
            self.connect(agent)
        return agent

    def open_door(self):
        """Let the listener look now instead of within a second."""
        self.office.listener.works.keeper.look()

    def connect(self, agent):
        """Give an agent its line, and wait until it may be asked."""
        agent.connect()
        until(lambda: self.office.lines.get(agent.name), "the line")

    def pair(self):
        """Return two agents with the same key, soft/issuing."""
        first, second = self.agent("vault-a", "issuing"), self.agent("vault-b")
        self.share(first, second, "soft/issuing")
        second.tell_inventory()
        key = first.desk.keys["soft/issuing"].spki_hash
        until(lambda: 2 == len(self.office.directory.refresh().holders(key)), "the same key")
        return first, second

    def share(self, agent, other, name):
        """Let another agent have the same key."""
        other.desk.keys[name] = agent.desk.keys[name]

    def signer(self, reference="agent:vault-a/issuing", algorithm="ecdsa-sha256"):
        """Open a key."""
        return self.office.backend.open(KeyReference.parse(reference), algorithm)

    def history(self):
        """Return what the scribe has written so far."""
        self.office.scribe.flush()
        with self.server.database.reading() as connection:
            rows = connection.exec_driver_sql(
                "SELECT agent, purpose, outcome FROM agents_history ORDER BY number"
            )
            return [tuple(row) for row in rows]


def settings_of(**settings):
    """Return settings for a port of its own, and lines that no busy machine loses."""
    settings = {"bind": "127.0.0.1:0", "dead": 60_000, **settings}
    return AgentSettings(**{name.replace("_", "-"): value for name, value in settings.items()})


def office_for(server):
    """Return an office that has what seals its keys, as the server gives it."""
    office = Office(server)
    office.backend.seal_with(server.key_secrets("agent"))
    return office


def make_site(database=None, **settings):
    """Return a site that listens."""
    server = FakeServer([settings_of(**settings)])
    if database is not None:
        server.database = database
    else:
        with server.database.transaction() as connection:
            metadata.create_all(connection)
    site = Site(server, office_for(server), [])
    site.office.listener.start()
    return site


def beside(site, *, node, serves, **settings):
    """Return another process on the same database: a command, or another node."""
    server = FakeServer([settings_of(**settings)], site.server.clock)
    server.database, server.node = site.server.database, node
    server.entropy = CountedEntropy(f"{node}{serves}")
    server.authorities = site.server.authorities
    made = Site(server, office_for(server), site.agents)
    if serves:
        made.office.listener.start()
    return made
