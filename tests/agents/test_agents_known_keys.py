"""What is remembered of the keys by which an agent knows nodes: retiring keys goes by it."""

from dataclasses import replace

from hsm_agent.wire.channel_kinds import VERSION_1, ChannelKinds
from tests.agents.real_agents import RealAgent, RealSite


def test_an_agent_knows_nodes_by_what_it_was_told_and_not_by_its_code(tmp_path):
    """Its code names the newest keys of a second node, which it cannot verify."""
    site = RealSite()
    RealSite(beside=site, node=2, serves=False, frame_key="ml-dsa-44").office.identities.present()
    agent = RealAgent(tmp_path / "agent", "")
    agent.around = replace(agent.around, abilities=VERSION_1)

    agent.register(site.code(), ChannelKinds())

    keys = {key.node: key.generation for key in site.office.directory.refresh().node_keys}
    by_number = {node.number: keys[node] for node in agent.nodes()}
    assert {1: 0, 2: 0} == by_number
    assert by_number == {number: site.known(node=number) for number in (1, 2)}
    agent.close()
    site.close()
