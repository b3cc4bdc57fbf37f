"""What nodes ask and store with every signature: the same on both databases."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.wire.messages import Mark
from pikaserver_agents.journals import Contradiction, follow
from pikaserver_agents.storage import agents, histories, jobs, marks
from pikaserver_agents.storage.agents import AgentState, Identity, NewAgent
from pikaserver_agents.storage.histories import SIGNED, HistoryRow
from pikaserver_agents.storage.jobs import JobRow, Way

OCTETS = bytes(range(256))
NAMES = ("vault-a", "vault-b")


@pytest.fixture
def database(durable):
    """Two agents, and nothing else."""
    for name in NAMES:
        identity = Identity(name.encode(), OCTETS, name.encode()[::-1])
        new = NewAgent(name, AgentState.ENROLLED, by_hand=True, identity=identity, words="")
        with durable.transaction() as connection:
            assert agents.insert(connection, new, 0)
    yield durable
    durable.close()


def test_an_agent_is_registered_once(database):
    """Neither its name nor its keys are free for another one."""
    for name, pin in (("vault-a", b"new"), ("vault-c", b"vault-a")):
        new = NewAgent(
            name,
            AgentState.ENROLLED,
            by_hand=False,
            identity=Identity(pin, b"", b"other"),
            words="",
        )
        with database.transaction() as connection:
            assert not agents.insert(connection, new, 0)

    with database.reading() as connection:
        assert NAMES == tuple(row.name for row in agents.list_all(connection))
        assert agents.find(connection, "vault-c") is None


def test_one_agent_is_read_as_all_are(database):
    """Each value in its own type."""
    with database.reading() as connection:
        found = agents.find(connection, "vault-a")
        assert found == agents.list_all(connection)[0]

    assert found.by_hand is True
    assert (OCTETS, bytes) == (found.identity.certificate, type(found.identity.certificate))


def row(agent, index):
    mark = Mark(index, bytes([index]) * 32)
    return HistoryRow(b"\x00" * 16, agent, OCTETS, b"", "certificate", SIGNED, mark, 1 << 40)


def test_the_history_holds_what_was_noted(database):
    """Octets as they are; and an answer's head by the number of its line."""
    rows = [row("vault-a", index) for index in (3, 4, 5, 6)]
    with database.transaction() as connection:
        histories.add(connection, [*rows, row("vault-b", 4)])

    with database.reading() as connection:
        assert rows == list(histories.of_agent(connection, "vault-a", 99))
        heads = histories.heads_between(connection, "vault-a", 4, 5)
    assert {4: b"\x04" * 32, 5: b"\x05" * 32} == heads


def test_a_line_that_is_held_stays_as_it_is(database):
    """What comes again under its number does not take its place."""
    with database.transaction() as connection:
        histories.add_lines(connection, "vault-a", 1, [b"one", OCTETS])
        histories.add_lines(connection, "vault-a", 2, [b"another", b"three"])

    with database.reading() as connection:
        found = list(histories.lines_of(connection, "vault-a", 0, 9))
    assert [(1, b"one"), (2, OCTETS), (3, b"three")] == found


def test_an_older_mark_changes_nothing(database):
    """Neither the one that a node was told, nor that of the lines that we hold."""
    with database.transaction() as connection:
        for index in (7, 6, 7):
            marks.raise_told(connection, "vault-a", 1, Mark(index, bytes([index])))
        assert marks.raise_mirrored(connection, "vault-a", marks.BEGINNING, Mark(4, b"4"))
        assert not marks.raise_mirrored(connection, "vault-a", Mark(3, b"3"), Mark(5, b"5"))

    with database.reading() as connection:
        assert marks.Known(Mark(7, b"\x07"), Mark(4, b"4")) == marks.find(connection, "vault-a")
        assert marks.Known() == marks.find(connection, "vault-b")


def job(name, agent="vault-a", way=Way.RELAY, created=0, deadline=100):
    return JobRow(name, agent, way, 1, created, deadline, frame=OCTETS)


def test_a_node_takes_up_the_oldest_requests_to_its_own_agents(database):
    """Those that wait to be relayed, and for which there is time left."""
    first, second, third = (job(bytes([at]), created=at) for at in (1, 2, 3))
    others = (
        job(b"other", agent="vault-b"),
        job(b"late", deadline=50),
        job(b"by hand", way=Way.OFFLINE),
        job(b"claimed"),
    )
    with database.transaction() as connection:
        for one in (third, first, second, *others):
            jobs.add(connection, one)
        assert jobs.claim(connection, b"claimed")

    with database.reading() as connection:
        assert [first, second, third] == list(jobs.new_for(connection, ["vault-a"], 50, 32))
        assert [first, second] == list(jobs.new_for(connection, ["vault-a"], 50, 2))
        assert [] == list(jobs.new_for(connection, ["vault-c"], 50, 32))
        assert [] == list(jobs.new_for(connection, NAMES, 100, 32))
        assert first == jobs.find(connection, first.id)
        assert jobs.find(connection, b"none") is None


@pytest.mark.parametrize("index", [True, 1.0, "1", None, [1], 2, 0])
def test_only_a_number_numbers_a_line(index):
    """What Python takes for 1 is not 1 in a journal."""
    octets = json.dumps({"i": index, "prev": marks.BEGINNING.head.hex()}).encode()

    with pytest.raises(Contradiction, match="line 1 does not continue line 0"):
        follow(marks.BEGINNING, octets)


def test_a_line_is_all_json():
    """Both fields at their place do not make a line of something else."""
    start = b'{"a":"b","i":1,"prev":"%s","x":"y"' % marks.BEGINNING.head.hex().encode()

    assert 1 == follow(marks.BEGINNING, start + b"}").mark.index
    for end in (b"", b"]", b"}}", b'},{"i":1}', b',"i":2}'):
        with pytest.raises(Contradiction):
            follow(marks.BEGINNING, start + end)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from("i"), inner),
    max_leaves=8,
)


@given(_VALUES, _VALUES)
def test_any_json_is_a_line_or_a_contradiction(index, other):
    """Nothing else is raised, whatever stands where the number and the hash belong."""
    for value in (other, {"i": index, "prev": other}, {"i": 5, "prev": other}):
        with pytest.raises(Contradiction):
            follow(Mark(4, OCTETS[:32]), json.dumps(value).encode())
