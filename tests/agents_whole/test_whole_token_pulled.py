"""The token is pulled and put back while devices enrol: they wait, and nothing else happens."""

import pytest

from tests.agents_whole.crowd import Crowd
from tests.agents_whole.deeds import new_key
from tests.faults.load import Load


@pytest.fixture
def crowd(house, host):
    """Give EST clients whose certificates are signed by a key on the token."""
    house("ca", "create", "devices", "--parent", "root", *new_key("devices", agent=host.name))
    house.issue_with("device", "devices")
    return Crowd(Load(house.server, house.server.code(uses=100_000)))


def test_a_token_pulled_under_load_loses_no_request(house, host, token, crowd, record_property):
    """Without it 503 with Retry-After; with it certificates again, by themselves."""
    with crowd.busy():
        crowd.wait_for(200)
        for _ in range(2):
            token.remove()
            crowd.wait_for(503)
            token.put_back()
            crowd.wait_for(200)

    crowd.check("devices")
    record_property("figures", crowd.told())
    assert {"token-absent", "token-error"} >= {line["code"] for line in host.journal("failed")}
    assert host.json("journal", "verify")["sound"]
    assert [] == house.json("agent", "compare", host.name)["differences"]
