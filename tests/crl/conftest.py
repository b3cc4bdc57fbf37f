"""The CRL plugin before a server in memory."""

import pytest

from pikaserver.asn1.csr import read_csr
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver_crl.plugin import CrlSettings, register_services


@pytest.fixture
def server():
    made = FakeServer([CrlSettings()])
    made.crls.issue_due()
    return made


@pytest.fixture
def client(server):
    """Return a client on a plain line."""
    return ServiceClient(*register_services(server), tls=False)


@pytest.fixture
def record(server):
    """Return a certificate of ours."""
    key = throw_away_key(server.entropy)
    return server.issue(read_csr(throw_away_request(key, "plc-21")))
