"""Servers that speak SCEP, one for each kind of authority."""

import pytest

from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import make_server
from tests.scep.device import Device, House

ENABLED = {"PIKASERVER__PLUGINS__ENABLED": '["crl", "est", "scep"]'}


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Give a server with an authority of a key type; it is made once for a module."""
    made, opened = {}, []

    def give(key_type):
        if key_type not in made:
            folder = tmp_path_factory.mktemp(key_type) / "data"
            entered = make_server(folder, key_type=key_type, environment=ENABLED)
            opened.append(entered)
            made[key_type] = House(entered.__enter__(), folder)
        return made[key_type]

    yield give
    for entered in opened:
        entered.__exit__(None, None, None)


@pytest.fixture
def house(houses):
    """Give a server whose authority is EC, so that a registration authority answers."""
    return houses("ec-p256")


@pytest.fixture(scope="session")
def openssl():
    return require_program("openssl", package="openssl")


@pytest.fixture
def device():
    return Device()
