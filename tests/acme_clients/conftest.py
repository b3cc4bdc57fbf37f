"""One server for all clients."""

import pytest

from tests.acme_clients.place import make_place


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    yield from make_place(tmp_path_factory.mktemp("acme-clients"))
