"""A server in memory with the listener for agents, and agents that can do anything wrong."""

import base64
import contextlib
import io
import json
import logging
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.signing import KeyReference
from pikaserver.api.storage import Migrations
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.templates.starters import starter
from pikaserver.cli.main import run
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.server import PkiServer, items
from pikaserver.serving import RunningServer
from pikaserver.settings.loading import load
from pikaserver.storage.database import EmbeddedOrServer, open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.patience import until
from pikaserver.testing.throw_away import throw_away_request
from pikaserver_agents.enrollment import CodeWish
from pikaserver_agents.office import Office, office_of
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
    """Return settings for a port of its own."""
    settings = {"bind": "127.0.0.1:0", **settings}
    return AgentSettings(**{name.replace("_", "-"): value for name, value in settings.items()})


def make_site(database=None, **settings):
    """Return a site that listens."""
    server = FakeServer([settings_of(**settings)])
    if database is not None:
        server.database = database
    else:
        with server.database.transaction() as connection:
            metadata.create_all(connection)
    site = Site(server, Office(server), [])
    site.office.listener.start()
    return site


def beside(site, *, node, serves, **settings):
    """Return another process on the same database: a command, or another node."""
    server = FakeServer([settings_of(**settings)], site.server.clock)
    server.database, server.node = site.server.database, node
    server.entropy = CountedEntropy(f"{node}{serves}")
    server.authorities = site.server.authorities
    made = Site(server, Office(server), site.agents)
    if serves:
        made.office.listener.start()
    return made


@pytest.fixture
def make():
    """Make sites: ``make(heartbeat=50, dead=200)``; or another process beside one."""
    made = []

    def site(database=None, next_to=None, **settings):
        if next_to is not None:
            made.append(beside(next_to, **settings))
        else:
            made.append(make_site(database, **settings))
        return made[-1]

    yield site
    for one in made:
        for agent in one.agents:
            agent.close()
        one.office.listener.stop()
    for one in made:
        if isinstance(one.server.database, EmbeddedOrServer):
            one.server.database.close()


@pytest.fixture(autouse=True)
def sound(caplog):
    """No thread may have stumbled, whatever a test does; what is logged can be logged."""
    caplog.set_level(logging.INFO, logger="pikaserver_agents")
    yield
    stumbled = {"step failed", "connection failed"}
    assert [] == [
        record.exc_text or record.message
        for when in ("setup", "call")
        for record in caplog.get_records(when)
        if record.message in stumbled
    ]


@pytest.fixture(params=["sqlite", "postgresql"])
def durable(request, tmp_path):
    """A database with all tables, which several processes could share; `make` closes it."""
    url = f"sqlite:///{tmp_path}/pikaserver.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    opened = open_database(url)
    upgrade(opened.engine, [Migrations("agents", "pikaserver_agents.migrations", metadata)])
    return opened


@pytest.fixture
def site(make):
    """One site with the usual settings."""
    return make()


@pytest.fixture
def certificate_tbs(site):
    """Octets of a certificate that are to be signed."""
    der = site.server.authorities.get("issuing").generations[0].certificate
    return x509.load_der_x509_certificate(der).tbs_certificate_bytes


@dataclass
class House:
    """A whole server that runs, with commands beside it, and its agents."""

    server: PkiServer
    office: Office
    data: Path
    agents: list

    def code(self, name, *words):
        """Make a code as an operator does."""
        return self.json("agent", "enroll", name, *words)["code"]

    def agent(self, name="vault-a", *keys):
        """Return an agent that is enrolled, has these keys, and a line."""
        agent = FakeAgent(name)
        self.agents.append(agent)
        for key in keys:
            agent.desk.make_key(key)
        code = self.code(name)
        self.office.listener.works.keeper.look_again()
        agent.enroll(code)
        self.connect(agent)
        return agent

    def connect(self, agent):
        """Give an agent its line, and wait until it may be asked."""
        agent.connect()
        until(lambda: self.office.lines.get(agent.name), "the line")

    def run(self, *words):
        """Run a command; return its exit code and what it wrote, as text and for errors."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*map(str, words), "--data", str(self.data)])
        return code, out.getvalue(), err.getvalue()

    def __call__(self, *words):
        """Run a command that does not fail, and return what it wrote."""
        code, out, err = self.run(*words)
        assert 0 == code, out + err
        return out

    def json(self, *words):
        """Run a command and return the JSON that it wrote."""
        return json.loads(self(*words, "-o", "json"))

    def plan(self, name, reference, *, root=False):
        """Return a plan for an authority with a key of an agent."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return AuthorityPlan(
            name=name,
            content=CaContent(subject, path_length=1 if root else 0),
            key_type="ec-p256",
            key=KeyReference.parse(reference),
            algorithm="ecdsa-sha256",
        )

    def issuing(self, name="site", reference="agent:vault-a/site"):
        """Make an authority below the root, with a key of an agent, and a template for it."""
        record = self.server.ceremony.create_subordinate(
            self.plan(name, reference), "root", "tester"
        )
        self.server.templates.save(name, starter("device", issuing=name), "tester")
        return record

    def door(self, template):
        """Return a client of EST, and a code that is good for a template."""
        client = ServiceClient(*items(self.server.plugins.services(self.server.for_plugins)))
        made = self.server.codes.create(template, "test", uses=1000)
        return client, (made.user, made.code)

    def certify(self, template="site", common_name="plc-21"):
        """Issue a certificate and return it, or the answer that is none."""
        client, user = self.door(template)
        key = ec.generate_private_key(ec.SECP256R1())
        csr = throw_away_request(key, common_name)
        return client.send(
            "POST",
            f"/.well-known/est/{template}/simpleenroll",
            base64.b64encode(csr),
            headers={"Content-Type": "application/pkcs10"},
            user=user,
        )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A data folder as ``pikaserver init`` leaves it; to be copied, never used."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    wishes = FirstStart(
        data=data,
        http="127.0.0.1:0",
        https="127.0.0.1:0",
        agents="127.0.0.1:0",
        hostname="pki.example.test",
        plugins=("agents", "crl", "est"),
    )
    set_up(wishes, {})
    return data


@pytest.fixture
def house(prepared, tmp_path):
    """A whole server on free ports."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    with open_server(load({}, data=data), {}) as server:
        running = RunningServer(server)
        running.start()
        made = House(server, office_of(server.for_plugins), data, [])
        try:
            yield made
        finally:
            for agent in made.agents:
                agent.close()
            running.stop()
