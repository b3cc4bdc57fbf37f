"""A server in this process, and agents that dial it with the agent's own program parts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509

from hsm_agent import clock
from hsm_agent.channel.backoff import Backoff
from hsm_agent.channel.desk import Desk
from hsm_agent.channel.greeting import Surroundings
from hsm_agent.channel.keeper import Keeper
from hsm_agent.channel.lines import Lines
from hsm_agent.channel.workers import Workers
from hsm_agent.identity.channel_keys import abilities_here
from hsm_agent.identity.enrollment import enroll, identity_for, read_code, settle
from hsm_agent.identity.identities import Identities
from hsm_agent.identity.nodes import read_nodes, write_nodes
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.places import Place
from hsm_agent.service.relaying import Relaying
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.messages import VERSIONS
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import verify
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.patience import until
from pikaserver_agents.enrollment import CodeWish
from pikaserver_agents.office import Office
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.storage.codes import Purpose
from pikaserver_agents.storage.tables import metadata


def now():
    """Return the time as it is: both sides look at the same clock."""
    return datetime.now(UTC)


class RealSite:
    """A server that listens; another one ``beside`` it has the same database."""

    def __init__(self, *, beside=None, node=1, serves=True, **settings):
        # Lines that no busy machine loses.
        told = {"bind": "127.0.0.1:0", "dead": 60_000, **settings}
        keyed = {name.replace("_", "-"): value for name, value in told.items()}
        self.server = FakeServer([AgentSettings(**keyed)], clock=now)
        self.server.node = node
        if beside is None:
            with self.server.database.transaction() as connection:
                metadata.create_all(connection)
        else:
            self.server.database = beside.server.database
            self.server.authorities = beside.server.authorities
            self.server.entropy = CountedEntropy(f"{node}{serves}{settings}")
        self.office = Office(self.server)
        self.office.backend.seal_with(self.server.key_secrets("agent"))
        self.serves = serves
        if serves:
            self.office.listener.start()

    def code(self, name="vault-a", purpose=Purpose.ENROLL, **wish):
        """Return a code as text."""
        wanted = CodeWish(name, purpose, timedelta(minutes=15), **wish)
        code, _ = self.office.enrollments.make_code(wanted, "cli:tester")
        return code.text()

    def look(self):
        """Let the listener see what other processes did."""
        self.office.listener.works.keeper.look()

    def row(self, name="vault-a"):
        """Return what is known of an agent."""
        return self.office.directory.refresh().agent(name)

    def known(self, name="vault-a", node=1):
        """Return by which generation of a node's keys an agent knows it."""
        return self.office.directory.refresh().known.get((name, node))

    def await_line(self, name="vault-a"):
        """Wait until an agent may be asked."""
        until(lambda: self.office.lines.get(name), "the line")

    def sign(self, public_key, name="vault-a"):
        """Have a certificate's octets signed by an agent, and look at the signature."""
        der = self.server.authorities.get("issuing").generations[0].certificate
        tbs = x509.load_der_x509_certificate(der).tbs_certificate_bytes
        reference = KeyReference.parse(f"agent:{name}/issuing")
        signature = self.office.backend.open(reference, "ecdsa-sha256").sign(tbs)
        verify(public_key, "ecdsa-sha256", signature, tbs)

    def want(self, **settings):
        """Have another process of this node, with other settings, make the keys that they want."""
        RealSite(beside=self, serves=False, **settings).office.identities.present()

    def close(self):
        """End everything."""
        if self.serves:
            self.office.listener.stop()
            self.serves = False


class RealAgent:
    """An agent with the agent's own channel, before a desk that signs whatever it is asked."""

    def __init__(self, folder, code, kinds=None, name="vault-a"):
        self.place = Place(folder)
        self.name = name
        self.around = Surroundings(clock.now_ms, clock.entropy, 5.0, None, abilities_here())
        self.fake = FakeAgent(name, clock=now)
        self.fake.desk.make_key("issuing")
        self.public_key = self.fake.desk.keys["soft/issuing"].public_key
        self.words = ""
        self.journal = Journal(folder / "journal", clock.now_ms)
        self.memory = JournalMemory(self.journal, self._folder("state"))
        self.workers = Workers(4, 64)
        self.lines = None
        self.place.settings.write_text(f'name = "{name}"\n[stores.trial]\nkind = "software"\n')
        if code:
            self.register(code, kinds or ChannelKinds())

    def register(self, text, kinds):
        """Bring new keys with a code."""
        code = read_code(text)
        identity = identity_for(code, self.place, kinds)
        registered = enroll(code, identity, self.around, print)
        self.words = registered.words
        settle(self.place, registered.nodes)

    def start(self):
        """Dial all nodes, and follow them."""
        self.identities = Identities(self.place, self.name, self.around)
        self.desk = Desk(
            hello=lambda: replace(self.fake.hello(), versions=VERSIONS),
            answer=lambda request, _: self.fake.desk.answer(request),
            sign=lambda requests, _: ([self.fake.desk.answer(one)] for one in requests),
            mark=self.fake.desk.mark,
            learned=print,
            relayed=lambda relay, line: self.relaying().answer(relay, line),
            report=lambda *_: None,
            workers=self.workers,
            elapsed=clock.elapsed_ms,
        )
        self.lines = Lines(self._keep, self._remember, pinned=False)
        self.lines.start(read_nodes(self.place.identity))

    def relaying(self):
        """Return what answers frames that came by another way than a line."""
        return Relaying(
            self.identities.present(),
            lambda: read_nodes(self.place.identity),
            lambda request, _: self.fake.desk.answer(request),
            self.journal,
            self.memory,
            clock.now_ms,
        )

    def rotate(self, kinds):
        """Change the keys of the lines."""
        self.identities.rotate(self.lines.register, kinds)
        self.lines.redial()

    def nodes(self):
        """Return the nodes as they are remembered."""
        return read_nodes(self.place.identity)

    def close(self):
        """End everything."""
        if self.lines is not None:
            self.lines.stop()
        self.workers.close()
        self.journal.close()
        self.memory.close()
        self.fake.close()

    def _folder(self, name):
        folder = self.place.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _keep(self, node):
        desk = replace(self.desk, learned=partial(self.lines.learn, by=node))
        return Keeper(node, self.identities.dial, desk, Backoff(bytes), clock.now_ms)

    def _remember(self, nodes):
        write_nodes(self.place.identity, nodes)
