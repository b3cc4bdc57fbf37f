"""A server in memory with the listener for agents, and agents that can do anything wrong."""

import logging
import shutil

import pytest
from cryptography import x509

from pikaserver.api.storage import Migrations
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.serving import RunningServer
from pikaserver.settings.loading import load
from pikaserver.storage.database import EmbeddedOrServer, open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver_agents.office import office_of
from pikaserver_agents.storage.tables import metadata
from tests.agents.agent_houses import House
from tests.agents.agent_sites import beside, make_site

PATIENT = {"PIKASERVER__PLUGINS__AGENTS__DEAD": "60000"}
"""Lines that no busy machine loses."""


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
def certificate_tbs(site):
    """Octets of a certificate that are to be signed."""
    der = site.server.authorities.get("issuing").generations[0].certificate
    return x509.load_der_x509_certificate(der).tbs_certificate_bytes


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
    with open_server(load(PATIENT, data=data), {}) as server:
        running = RunningServer(server)
        running.start()
        made = House(server, office_of(server.for_plugins), data, [])
        try:
            yield made
        finally:
            for agent in made.agents:
                agent.close()
            running.stop()


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


@pytest.fixture
def site(make):
    """One site with the usual settings."""
    return make()
