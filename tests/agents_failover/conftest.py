"""Two nodes, two agents with the same key, and devices that enrol all the time."""

import pytest

from tests.agents_failover.cluster import TEMPLATE, cluster, software_key
from tests.agents_failover.enrolling import Enrolling, enrolling
from tests.agents_failover.pairs import Pair, add_holder


@pytest.fixture(scope="module", params=["software", "softhsm"])
def pair(request, postgres, tmp_path_factory):
    """Run a cluster whose two agents hold the same key; vault-a is the one that is asked."""
    database = postgres.url(postgres.create_database())
    with cluster(tmp_path_factory.mktemp("pair"), database) as made:
        key = software_key()
        holders = [add_holder(made, name, key, request.param) for name in ("vault-a", "vault-b")]
        code = made.make_authority()
        yield Pair(made, *holders, key, code, request.param)


@pytest.fixture
def devices(pair):
    """Let eight clients enrol, four at each node, once everybody is there."""
    pair.restore()
    with enrolling(pair.cluster, pair.code, TEMPLATE) as running:
        running.await_more(20)
        yield running


@pytest.fixture
def single(pair):
    """Give what enrols one device at a time."""
    return Enrolling(pair.cluster.nodes, pair.code, TEMPLATE)
