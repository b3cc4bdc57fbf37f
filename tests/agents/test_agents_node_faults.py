"""What is said, and what helps, where the keys of a node are gone."""

import pytest

from hsm_agent.channel.faults import NotReached
from hsm_agent.identity.identities import Identities
from hsm_agent.wire.enrollment_code import PREFIX
from pikaserver.api.errors import Conflict, KeyUnavailable
from pikaserver.testing.damage import altered
from pikaserver_agents.storage import node_keys
from tests.agents.real_agents import RealAgent, RealSite


def damage(database):
    """Alter what is stored of the private keys of node 1, as a disk may do."""
    with database.transaction() as connection:
        key = node_keys.list_keys(connection)[0]
        assert node_keys.reseal_first(connection, 1, key.sealed, altered(key.sealed))


def test_a_node_whose_keys_do_not_open_says_which_and_what_helps():
    """Nothing that comes of it would tell: agents only find the port shut."""
    site = RealSite(serves=False)
    site.office.identities.present()
    damage(site.server.database)

    with pytest.raises(KeyUnavailable, match=r"node 1 \(generation 0\).*node retire 1 0"):
        RealSite(beside=site, serves=False).office.identities.present()


def test_commands_give_a_node_others_for_keys_that_do_not_open(house):
    """Neither needs the private ones."""
    damage(house.office.server.database)

    made = house.json("agent", "node", "rotate")
    assert [0, 1] == [key["generation"] for key in house.json("agent", "node", "list")]
    house("agent", "node", "retire", 1, 0)

    assert 1 == made["generation"]
    assert house.code("vault-a").startswith(PREFIX)


def test_no_code_names_classical_keys_that_were_retired():
    """It would name no node, and the agent would not know why."""
    site = RealSite(serves=False, frame_key="ml-dsa-44")
    site.office.identities.present()
    with site.server.database.transaction() as connection:
        assert node_keys.retire(connection, 1, 0)

    with pytest.raises(Conflict, match="no node has classical keys"):
        site.code(old=True)


def test_an_agent_that_knows_a_node_by_retired_keys_is_told_what_helps(tmp_path):
    """It never takes others by itself, so somebody has to bring a code."""
    site = RealSite()
    agent = RealAgent(tmp_path / "agent", site.code())
    with site.server.database.transaction() as connection:
        assert node_keys.retire(connection, 1, 0)
    site.want(frame_key="ml-dsa-44")
    site.look()
    (node,) = agent.nodes()
    identities = Identities(agent.place, agent.name, agent.around)

    with pytest.raises(NotReached, match="'pikaserver agent rotate' makes a code"):
        identities.dial(node)

    agent.close()
    site.close()
