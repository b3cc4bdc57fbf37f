"""Lines whose frames are signed with ML-DSA: enrolment, rotation of either side, old peers."""

import pytest

from hsm_agent.identity.enrollment import words_of
from hsm_agent.identity.identity import load_identity
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.enrollment_code import PREFIX, PREFIX_2, EnrollmentCode
from hsm_agent.wire.frame_kinds import frame_kind, pinned_kind
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.patience import until
from pikaserver_agents.commands.records import agent_details, agent_row
from pikaserver_agents.plugin import register_key_inventories
from pikaserver_agents.storage.codes import Purpose
from tests.agents.real_agents import RealAgent, RealSite, now


@pytest.fixture
def made(tmp_path):
    """Make sites and agents; they end with the test, agents first."""
    sites, agents = [], []

    class Maker:
        def site(self, **options):
            sites.append(RealSite(**options))
            return sites[-1]

        def agent(self, site, frames="ed25519", name="vault-a", **wish):
            code = site.code(name, **wish)
            site.look()
            agents.append(RealAgent(tmp_path / name, code, ChannelKinds(frames=frames), name))
            agents[-1].start()
            site.await_line(name)
            return agents[-1]

        def old_agent(self, site, name="old"):
            agents.append(FakeAgent(name, clock=now))
            agents[-1].desk.make_key("issuing")
            code = site.code(name, old=True)
            site.look()
            agents[-1].enroll(code)
            agents[-1].connect()
            site.await_line(name)
            return agents[-1]

    yield Maker()
    for agent in agents:
        agent.close()
    for site in sites:
        site.close()


@pytest.mark.parametrize("kind", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_both_sides_sign_frames_with_ml_dsa(made, kind):
    """From the code, which holds a hash of the node's key, to a signature and the reports."""
    site = made.site(frame_key=kind)
    agent = made.agent(site, kind)

    site.sign(agent.public_key)

    row, (node,) = site.row(), agent.nodes()
    assert kind == frame_kind(row.identity.frame_key).name == frame_kind(node.frame_key).name
    assert 1 == site.known()
    assert row.words == agent.words == words_of(node, load_identity(agent.place.identity))
    view = site.office.directory.refresh()
    assert f"ec-p256 {kind}" == agent_row(site.office, view, row)["channel"]
    told = agent_details(site.office, view, row)
    assert told["frame_key"].startswith(f"{kind}:")
    assert [f"node 1: ec-p256 {kind}, 1"] == told["knows_nodes_by"]


def test_the_code_of_a_node_with_ml_dsa_is_short(made):
    """The key itself would be 2 600 characters; older agents see at once that it is not theirs."""
    plain, other = made.site(), made.site(frame_key="ml-dsa-65")

    codes = plain.code(), other.code(), other.code("vault-b", old=True)

    assert [PREFIX, PREFIX_2, PREFIX] == [code[: len(PREFIX)] for code in codes]
    assert all(len(code) < 200 for code in codes)
    (pin,) = EnrollmentCode.read(codes[1]).frame_keys
    assert "ml-dsa-65" == pinned_kind(pin)


@pytest.mark.parametrize(("node", "agent"), [("ed25519", "ml-dsa-65"), ("ml-dsa-44", "ed25519")])
def test_each_side_has_a_kind_of_its_own(made, node, agent):
    """What verifies a frame is the key that is pinned for its sender."""
    site = made.site(frame_key=node)
    real = made.agent(site, agent)

    site.sign(real.public_key)

    assert agent == frame_kind(site.row().identity.frame_key).name
    assert node == frame_kind(real.nodes()[0].frame_key).name


def test_an_agent_of_version_1_goes_on_beside_ml_dsa(made):
    """It keeps to the node's first keys; the others have the newest ones at the same time."""
    site = made.site(frame_key="ml-dsa-65")
    real, old = made.agent(site, "ml-dsa-65"), made.old_agent(site)

    site.sign(real.public_key)
    site.sign(old.desk.keys["soft/issuing"].public_key, "old")

    assert (1, 0) == (site.known(), site.known("old"))
    assert [32] == [len(node.frame_key) for node in old.nodes]


def test_agents_follow_a_node_to_its_new_keys(made):
    """They are told of them over the line that they trust, and come back with them pinned."""
    site = made.site()
    agent, old = made.agent(site), made.old_agent(site)
    assert (0, 0) == (site.known(), site.known("old"))

    site.want(frame_key="ml-dsa-65")

    until(lambda: 1 == site.known(), "the agent with the new keys")
    site.await_line()
    site.sign(agent.public_key)
    (node,) = agent.nodes()
    assert "ml-dsa-65" == frame_kind(node.frame_key).name
    site.sign(old.desk.keys["soft/issuing"].public_key, "old")
    assert 0 == site.known("old")


def test_a_running_node_gets_new_keys_from_another_process(made):
    """As ``agent node rotate`` does: the line that is there ends only when it has answered."""
    site = made.site(frame_key="ml-dsa-44")
    agent = made.agent(site)
    command = made.site(beside=site, serves=False, frame_key="ml-dsa-44")

    generation = command.office.maker.add_generation()

    until(lambda: generation == site.known(), "the agent with the new keys")
    site.await_line()
    site.sign(agent.public_key)
    assert 2 == generation
    assert [0, 1, 2] == [one.generation for one in site.office.identities.present()]


def test_an_agent_rotates_to_ml_dsa_and_back(made):
    """Over its own line: what is announced is signed with the old key, and counts from then on."""
    site = made.site()
    agent = made.agent(site)

    for kind in ("ml-dsa-65", "ed25519"):
        agent.rotate(ChannelKinds(frames=kind))
        until(lambda kind=kind: kind == frame_kind(site.row().identity.frame_key).name, kind)
        site.await_line()
        site.sign(agent.public_key)

    assert site.row().following is None


def test_a_code_gives_an_agent_that_lost_its_keys_others_of_any_kind(made):
    """``agent rotate`` on the server's side, ``enroll --frame-key`` on the agent's."""
    site = made.site()
    agent = made.agent(site)
    agent.lines.stop()
    until(lambda: not site.office.lines.get("vault-a"), "the end of the line")

    agent.register(site.code("vault-a", Purpose.ROTATE), ChannelKinds(frames="ml-dsa-87"))
    agent.start()

    until(lambda: "ml-dsa-87" == frame_kind(site.row().identity.frame_key).name, "new keys")


def test_reports_name_the_kinds_of_all_channel_keys(made):
    """The newest of a node under its plain name, those that go on beside it as older ones."""
    site = made.site(frame_key="ml-dsa-65")
    made.agent(site, "ml-dsa-44")
    (kept,) = register_key_inventories(site.server)
    kept._office = site.office  # noqa: SLF001 - the hook would make an office that is not started

    found = {key.name: key.key_type for key in kept.keys()}

    assert found == {
        "node 1, TLS": "ec-p256",
        "node 1, frames": "ml-dsa-65",
        "node 1, keys of generation 0, TLS": "ec-p256",
        "node 1, keys of generation 0, frames": "ed25519",
        "agent vault-a, TLS": "ec-p256",
        "agent vault-a, frames": "ml-dsa-44",
    }
