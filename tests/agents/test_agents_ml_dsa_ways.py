"""The ways without a line, by the database and by hand, where frames are signed with ML-DSA."""

import pytest

from hsm_agent import clock
from hsm_agent.identity.channel_keys import new_frame_key, written
from hsm_agent.identity.enrollment import (
    identity_for,
    nodes_of,
    read_code,
    registration_bundle,
    settle,
    words_of,
)
from hsm_agent.identity.identity import load_identity
from hsm_agent.service.offline import answer_bundle
from hsm_agent.wire.bundles import REQUESTS, Bundle, seal_for_bundle
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.frame_kinds import frame_kind, frame_pin, pinned_kind
from hsm_agent.wire.messages import JournalRead
from hsm_agent.wire.session import relay_session_id
from pikaserver.api.errors import Conflict, KeyUnavailable, SignaturePending
from pikaserver.testing.patience import until
from pikaserver_agents.storage import node_keys
from pikaserver_agents.storage.codes import Purpose
from tests.agents.real_agents import RealAgent, RealSite

KIND = "ml-dsa-44"
BY = "cli:tester"


@pytest.fixture
def made(tmp_path):
    """Make sites and agents; they end with the test, agents first."""
    sites, agents = [], []

    class Maker:
        def site(self, **options):
            sites.append(RealSite(**options))
            return sites[-1]

        def agent(self, site, kinds=None):
            code = site.code()
            site.look()
            agents.append(RealAgent(tmp_path / "vault-a", code, kinds or ChannelKinds()))
            agents[-1].start()
            site.await_line()
            return agents[-1]

        def by_hand(self, site, kinds, **wish):
            agents.append(RealAgent(tmp_path / "vault-a", ""))
            register(site, agents[-1], kinds, **wish)
            return agents[-1]

    yield Maker()
    for agent in agents:
        agent.close()
    for site in sites:
        site.close()


def register(site, agent, kinds, purpose=Purpose.ENROLL, **wish):
    """Register an agent by a file."""
    code = read_code(site.code("vault-a", purpose, offline=True, **wish))
    identity = identity_for(code, agent.place, kinds)
    site.office.bundles.register(registration_bundle(code, identity), site.office.enrollments)
    assert site.row().words == words_of(nodes_of(code)[0], identity)
    settle(agent.place, nodes_of(code))


def carry(site, agent):
    """Carry what waits to an agent, and its answers back; return what went and what came."""
    octets, _ = site.office.bundles.export("vault-a", site.office.asker.request_id(), BY)
    agent.identities = Present(agent)
    askers = {frame_pin(node.frame_key): node.number for node in agent.nodes()}
    answered = answer_bundle(octets, "vault-a", askers, agent.relaying(), agent.fake.inventory())
    return octets, answered, site.office.bundles.import_(answered.octets, BY)


class Present:
    """The keys of an agent that has no line."""

    def __init__(self, agent):
        self._agent = agent

    def present(self):
        return load_identity(self._agent.place.identity)


@pytest.mark.parametrize("kinds", [ChannelKinds(), ChannelKinds(frames=KIND)])
def test_a_command_signs_by_way_of_the_database(made, kinds):
    """Another process of the node seals with the key by which the agent knows the node."""
    site = made.site(frame_key=KIND)
    agent = made.agent(site, kinds)
    command = made.site(beside=site, serves=False, frame_key=KIND)

    command.sign(agent.public_key)

    assert 1 == command.known()


def test_another_node_with_other_keys_signs_too(made):
    """The agent learned them over the line that it has."""
    site = made.site(frame_key=KIND)
    agent = made.agent(site)
    other = made.site(beside=site, node=2, frame_key="ml-dsa-65")
    other.office.identities.present()
    until(lambda: 2 == len(agent.nodes()), "news of the node")

    other.sign(agent.public_key)

    assert {KIND, "ml-dsa-65"} == {frame_kind(node.frame_key).name for node in agent.nodes()}


def test_a_relay_under_a_key_that_the_agent_left_is_sent_again_under_the_newest(made):
    """What the server noted may be older than what another node has told the agent since."""
    site = made.site(frame_key=KIND)
    agent = made.agent(site)
    command = made.site(beside=site, serves=False, frame_key=KIND)
    with site.server.database.transaction() as connection:
        node_keys.set_known(connection, "vault-a", {1: 0})
    command.office.directory.refresh()

    command.sign(agent.public_key)

    refused = [one for one in agent.journal.lines(1, 100) if b'"refused"' in one]
    assert refused


def test_a_relay_under_no_key_that_the_agent_knows_is_refused(made):
    """It verifies with what is pinned for the node, whatever the frame says."""
    site = made.site(frame_key=KIND)
    agent = made.agent(site)
    command = made.site(beside=site, serves=False, frame_key=KIND)
    first, _ = command.office.identities.present()
    command.office.identities.present = lambda: [first]

    with pytest.raises(KeyUnavailable, match="refuses our frames"):
        command.sign(agent.public_key)


@pytest.mark.parametrize("kind", [KIND, "ml-dsa-87"])
def test_bundles_are_signed_with_ml_dsa_both_ways(made, kind):
    """The code holds the hash of the node's key; the key comes with the bundle."""
    site = made.site(frame_key=kind)
    agent = made.by_hand(site, ChannelKinds(frames=kind))
    carry(site, agent)
    with pytest.raises(SignaturePending):
        site.sign(agent.public_key)

    octets, answered, done = carry(site, agent)

    assert [] == done.faults == list(answered.unanswered)
    site.sign(agent.public_key)
    asking = {asking for asking, _ in Bundle.of(octets, REQUESTS).frames}
    assert {kind} == {frame_kind(one).name for one in asking}
    (node,) = agent.nodes()
    assert (kind, 42) == (pinned_kind(node.frame_key), len(node.frame_key))


def test_an_agent_without_a_line_keeps_to_the_keys_of_its_code(made):
    """It cannot be told of newer ones; a code of ``agent rotate`` brings it there."""
    site = made.site()
    agent = made.by_hand(site, ChannelKinds())
    newer = made.site(beside=site, serves=False, frame_key=KIND)

    _, answered, _ = carry(newer, agent)
    assert (1, 0) == (answered.frames, newer.known())
    register(newer, agent, ChannelKinds(frames=KIND), Purpose.ROTATE)
    octets, answered, done = carry(newer, agent)

    assert (1, 1, []) == (answered.frames, newer.known(), done.faults)
    ((asking, _),) = Bundle.of(octets, REQUESTS).frames
    assert KIND == frame_kind(asking).name == frame_kind(newer.row().identity.frame_key).name


def test_bundles_for_an_agent_whose_key_was_retired_are_not_written(made):
    """The sentence names the command that helps."""
    site = made.site(frame_key=KIND)
    made.by_hand(site, ChannelKinds(), old=True)
    with site.server.database.transaction() as connection:
        assert node_keys.retire(connection, 1, 0)
        node_keys.set_known(connection, "vault-a", {1: 0})
    site.office.directory.refresh()

    with pytest.raises(Conflict, match="agent rotate vault-a"):
        site.office.bundles.export("vault-a", bytes(16), BY)


@pytest.mark.parametrize("kind", ["ed25519", KIND])
def test_a_bundle_of_a_stranger_gets_no_answer(made, kind):
    """Its key may be of any kind: it is none that the agent knows."""
    site = made.site(frame_key=KIND)
    agent = made.by_hand(site, ChannelKinds(frames=KIND))
    carry(site, agent)
    key = new_frame_key(kind)
    public = written(key)
    session = relay_session_id(public, site.row().identity.frame_key)
    ask = [JournalRead(bytes(16), 1, 1)]
    frame = seal_for_bundle(session, 1, clock.now_ms(), ask, key.sign).octets()
    (node,) = agent.nodes()
    askers = {frame_pin(node.frame_key): 1}
    pairs = ((public, frame), (node.frame_key, frame), (b"", frame))

    told = answer_bundle(
        Bundle(REQUESTS, "vault-a", pairs).octets(), "vault-a", askers, agent.relaying()
    )

    assert (0, 3) == (told.frames, len(told.unanswered))
