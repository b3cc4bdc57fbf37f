"""Houses that several tests of a file share: a server, a token and an agent that runs."""

import pytest

from tests.agents_whole.house import running_house
from tests.hsm_agent.softhsm import make_softhsm


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Give a running server."""
    with running_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """Give a SoftHSM token of its own."""
    return make_softhsm(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def host(house, token):
    """Give the host of an agent that runs, with its keys on the token."""
    made = house.host("vault-a", token=token)
    made.edit_policy("max-keys = 20", "max-keys = 200")
    house.start(made)
    return made
