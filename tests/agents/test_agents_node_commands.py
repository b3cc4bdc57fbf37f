"""``pikaserver agent node``, ``agent list`` and ``hsm-agent``: which kinds of keys there are."""

import json
import threading

import pytest

from hsm_agent import clock
from hsm_agent.cli.main import run
from hsm_agent.identity.channel_keys import new_frame_key, written
from hsm_agent.identity.identity import load_identity, make_identity
from hsm_agent.identity.nodes import read_nodes
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.enrollment_code import PREFIX, PREFIX_2
from hsm_agent.wire.frame_kinds import frame_kind
from hsm_agent.wire.messages import Node
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver_agents.storage import agents, node_keys
from pikaserver_agents.storage.agents import AgentState, Identity, NewAgent
from pikaserver_agents.storage.node_keys import NodeKey


@pytest.fixture
def house_ml_dsa(house):
    """A whole server whose commands want other keys than it started with."""
    settings = house.data / "pikaserver.toml"
    text = settings.read_text()
    settings.write_text(text.replace("[plugins.agents]", "[plugins.agents]\nframe-key='ml-dsa-65'"))
    assert "ml-dsa-65" in settings.read_text()
    return house


def keys(house):
    return [
        (key["generation"], key["frames"], key["known_to"])
        for key in house.json("agent", "node", "list")
    ]


def test_commands_make_list_and_retire_keys_of_a_node(house_ml_dsa):
    """The agent of version 1 keeps the first ones from being retired; others are free."""
    house = house_ml_dsa
    house.agents.append(old_agent(house))
    assert [(0, "ed25519", "old"), (1, "ml-dsa-65", "")] == keys(house)

    made = house.json("agent", "node", "rotate")

    assert (2, "ml-dsa-65") == (made["generation"], made["frames"])
    code, _, err = house.run("agent", "node", "retire", 1, 0)
    assert (7, True) == (code, "known by these keys to old" in err)
    assert house.json("agent", "node", "retire", 1, 1)["retired"]
    assert [(0, "ed25519", "old"), (2, "ml-dsa-65", "")] == keys(house)
    assert 3 == house.run("agent", "node", "retire", 1, 1)[0]
    house("agent", "node", "retire", 1, 0, "--force")
    assert [2] == [generation for generation, *_ in keys(house)]
    assert 7 == house.run("agent", "node", "retire", 1, 2)[0]


def old_agent(house):
    agent = FakeAgent("old")
    code = house.code("old", "--classical")
    house.office.listener.works.keeper.look_again()
    agent.enroll(code)
    house.connect(agent)
    return agent


def test_codes_name_the_newest_keys_unless_told_otherwise(house_ml_dsa):
    """An agent of before reads the other one."""
    codes = house_ml_dsa.code("vault-a"), house_ml_dsa.code("vault-b", "--classical")

    assert (PREFIX_2, PREFIX) == tuple(code[: len(PREFIX)] for code in codes)


def test_the_agents_program_enrols_with_keys_of_a_kind_and_tells_so(house_ml_dsa, tmp_path, capsys):
    """``enroll --frame-key``; ``doctor``, ``status`` there, ``agent show`` and the report here."""
    house, data = house_ml_dsa, tmp_path / "vault-a"
    code = house.code("vault-a")
    house.office.listener.works.keeper.look_again()

    assert 0 == run(["enroll", code, "--data", str(data), "--frame-key", "ml-dsa-87"])

    assert ChannelKinds("ec-p256", "ml-dsa-87") == load_identity(data / "identity").kinds
    (node,) = read_nodes(data / "identity")
    assert "ml-dsa-65" == frame_kind(node.frame_key).name
    capsys.readouterr()
    run(["doctor", "--data", str(data), "-o", "json"])
    found = json.loads(capsys.readouterr().out)
    texts = {one["what"]: one["text"] for one in found}
    assert texts["identity"].endswith(", ec-p256 for TLS, ml-dsa-87 for frames")
    assert texts["pinned"].endswith(": ml-dsa-65 for frames")
    assert "OpenSSL" in texts["TLS library"]
    assert "the key that is pinned" in texts["node"]
    run(["status", "--data", str(data), "-o", "json"])
    told = json.loads(capsys.readouterr().out)
    assert {"tls": "ec-p256", "frames": "ml-dsa-87"} == told["channel"]
    assert "ec-p256 ml-dsa-87" == house.json("agent", "show", "vault-a")["channel"]
    (row,) = house.json("agent", "list")
    assert "ec-p256 ml-dsa-87" == row["channel"]
    assert "ml-dsa-87" in house("report", "quantum", "-o", "json")


def test_an_enrolment_that_was_cut_short_keeps_its_kinds(tmp_path, house, capsys):
    """Keys of another kind are there: which ones shall count is the operator's word."""
    data = tmp_path / "vault-a"
    code = house.code("vault-a")
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    assert 0 != run(["enroll", wrong, "--data", str(data)])
    house.office.listener.works.keeper.look_again()
    make_identity(data / "identity", "vault-a", clock.now(), clock.entropy)

    assert 7 == run(["enroll", code, "--data", str(data), "--frame-key", "ml-dsa-44"])

    assert "name these kinds, or remove the file" in capsys.readouterr().err


def key(generation, octets):
    node = Node(1, "a:1", octets, octets * 2614)
    return NodeKey(node, generation, ChannelKinds("ml-dsa-87", "ml-dsa-87"), b"c", b"sealed", 5)


def test_keys_of_nodes_are_kept(durable):
    """In both databases: what is stored is read again, once, and retired for good."""
    first = NodeKey(Node(1, "a:1", b"p", b"f"), 0, ChannelKinds(), b"c", b"sealed")
    with durable.transaction() as connection:
        assert not node_keys.has_node(connection, 1)
        assert node_keys.add_first(connection, first)
        assert not node_keys.add_first(connection, first)
        assert node_keys.add_later(connection, key(1, b"1"))
        assert node_keys.add_later(connection, key(2, b"2"))
        assert not node_keys.add_later(connection, key(2, b"3"))
        assert (2, "a:1") == node_keys.highest(connection, 1)
        assert [first, key(1, b"1"), key(2, b"2")] == node_keys.list_keys(connection)
        assert node_keys.reseal_first(connection, 1, b"sealed", b"better")
        assert not node_keys.reseal_first(connection, 1, b"sealed", b"worse")
        assert node_keys.retire(connection, 1, 0)
        assert not node_keys.retire(connection, 1, 0)
        assert node_keys.retire(connection, 1, 1)
        assert not node_keys.retire(connection, 1, 1)
        assert node_keys.has_node(connection, 1)

    with durable.reading() as connection:
        assert [key(2, b"2")] == node_keys.list_keys(connection)
        gone = connection.exec_driver_sql("SELECT sealed FROM agents_node").scalar()
    assert b"" == bytes(gone)
    durable.close()


def test_frame_keys_of_the_largest_kind_fit_their_index(durable):
    """PostgreSQL takes no value of more than 2704 octets into an index."""
    frame_key = written(new_frame_key("ml-dsa-87"))
    new = NewAgent(
        "vault-a",
        AgentState.ENROLLED,
        by_hand=False,
        identity=Identity(b"pin", b"certificate", frame_key),
        words="",
    )
    with durable.transaction() as connection:
        assert agents.insert(connection, new, 0)
        agents.announce_following(connection, "vault-a", new.identity, "")
        node_keys.set_known(connection, "vault-a", {1: 0, 2: 3})
        node_keys.set_known(connection, "vault-a", {2: 4})

    with durable.reading() as connection:
        assert {("vault-a", 1): 0, ("vault-a", 2): 4} == node_keys.list_known(connection)
        assert frame_key == agents.find(connection, "vault-a").identity.frame_key
    durable.close()


def test_two_threads_that_make_keys_at_once_leave_one_generation(house_ml_dsa):
    """Both want the same: whoever was second uses the first one's."""
    office = house_ml_dsa.office
    maker = type(office.maker)(office.server, office.seal, ChannelKinds(frames="ml-dsa-44"))
    threads = [threading.Thread(target=maker.add_generation) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    generations = [one.generation for one in office.directory.refresh().keys_of(1)]
    assert generations in ([0, 1], [0, 1, 2])
    assert len(generations) == len({*generations})
