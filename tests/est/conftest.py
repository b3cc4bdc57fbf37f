"""EST before a server in memory."""

from datetime import timedelta

import pytest

from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.throw_away import throw_away_key
from pikaserver_est.plugin import EstSettings, register_services


@pytest.fixture
def server():
    made = FakeServer([EstSettings()])
    made.codes.add("4711", "sesame", "device", made.clock() + timedelta(days=1), uses=2)
    return made


@pytest.fixture
def est(server):
    """Return a client of the service."""
    return ServiceClient(*register_services(server))


@pytest.fixture
def key(server):
    return throw_away_key(server.entropy)
