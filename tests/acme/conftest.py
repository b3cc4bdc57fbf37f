"""A whole server without sockets, and clients of fresh policies."""

import pytest

from pikaserver.testing.client import ServiceClient
from pikaserver.testing.servers import make_server
from pikaserver_acme.office import office
from pikaserver_acme.plugin import register_services
from tests.acme.desk import ENVIRONMENT, Desk, HeldValidators


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server per module; each test has a policy of its own."""
    with make_server(tmp_path_factory.mktemp("acme"), environment=ENVIRONMENT) as made:
        here = office(made.for_plugins)
        here.validators = here.asking._validators = HeldValidators()  # noqa: SLF001 - the seam of tests
        yield made


@pytest.fixture(scope="module")
def web(server):
    return ServiceClient(*register_services(server.for_plugins))


@pytest.fixture
def make(server, web):
    """Return a function that makes clients of fresh policies with these rules."""
    return lambda **rules: Desk.make(server, web, **rules)


@pytest.fixture
def desk(make):
    """Give a client with an account, of a policy where nothing has to be proved."""
    found = make()
    assert 201 == found.register().status_code
    return found


@pytest.fixture
def prover(make):
    """Give a client with an account, of a policy where everything has to be proved."""
    found = make(challenges=["dns-01", "http-01"])
    found.register()
    return found
