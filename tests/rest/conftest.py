"""A whole server without sockets behind its REST door."""

from collections.abc import Iterator

import pytest

from pikaserver.ground import items
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from tests.rest.asking import ROOT, Described, Door


@pytest.fixture(scope="session")
def door(tmp_path_factory) -> Iterator[Door]:
    """Give one server to all tests of this process: each has codes and names of its own."""
    clock = FrozenClock()
    with make_server(tmp_path_factory.mktemp("rest") / "data", clock=clock) as server:
        services = items(server.plugins.services(server.for_plugins))
        client = ServiceClient(*services)
        described = Described(client.get(f"{ROOT}/openapi.json").json)
        yield Door(server, clock, client, described)
