"""The mirror of an agent's journal, and what happens to an agent whose journal lies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.wire.messages import JournalLines, JournalRead, Mark
from pikaserver.api.errors import KeyUnavailable
from pikaserver.api.operations import Alarm
from pikaserver.testing.fake_agent import Dismissed
from pikaserver.testing.fake_agent_line import LineEnded
from pikaserver.testing.patience import until
from pikaserver_agents.journals import Contradiction, follow
from pikaserver_agents.storage import agents
from pikaserver_agents.storage.agents import AgentState


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look at the journals often."""
    monkeypatch.setattr("pikaserver_agents.steward.MIRROR_SECONDS", 0.0)
    monkeypatch.setattr("pikaserver_agents.steward.EACH_SECONDS", 0.05)


def row(site):
    with site.server.database.reading() as connection:
        return agents.find(connection, "vault-a")


def mirror(site):
    with site.server.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT octets FROM agents_journal_line ORDER BY number")
        return [octets for (octets,) in rows]


def mirrored(site, agent):
    """Wait until the mirror has everything that the agent told of."""
    until(lambda: row(site).mark.index >= len(agent.desk.lines), "the mark")
    until(lambda: row(site).mirrored.index >= row(site).mark.index, "the mirror")


def locked_out(site, agent, why):
    """The agent may not connect any more, on any node; it and the operator are told why."""
    until(lambda: AgentState.LOCKED == row(site).state, "the lock-out")
    assert why in row(site).why
    until(lambda: any("locked" in end and why in end for end in agent.ended), "a goodbye")
    (alarm,) = until(lambda: [one for one in site.server.events if isinstance(one, Alarm)])
    assert ("agents.journal-differs", "vault-a") == (alarm.name, alarm.fields["agent"])
    assert "agent.locked" in [event for event, _, _ in site.server.audit.lines]
    site.code("vault-z")
    site.open_door()
    with pytest.raises((LineEnded, OSError, Dismissed)):
        agent.connect()


@pytest.fixture
def agent(site, certificate_tbs):
    """An agent with a few signatures behind it, all of them in the mirror."""
    made = site.agent("vault-a", "issuing")
    for _ in range(3):
        site.signer().sign(certificate_tbs)
    mirrored(site, made)
    return made


def test_lines_are_fetched_and_kept(site, agent):
    """As they are, one by one."""
    assert agent.desk.lines == mirror(site)
    assert 6 == row(site).mirrored.index
    assert agent.desk.mark() == row(site).mirrored


def test_the_agent_learns_how_far_it_is_known(agent):
    """``Welcome`` tells the mark that was stored last."""
    agent.die()

    welcome = agent.connect()

    assert agent.desk.mark() == welcome.journal


def test_long_journals_come_in_pieces(site, agent, monkeypatch):
    """Signs of life are not held up behind them."""
    monkeypatch.setattr("pikaserver_agents.journals.CHUNK", 3)
    for number in range(10):
        agent.desk.write("note", number=number)
    agent.die()
    site.connect(agent)

    mirrored(site, agent)

    reads = [one for one in agent.asked if isinstance(one, JournalRead)]
    assert max(read.last - read.first for read in reads[-4:]) <= 2
    assert agent.desk.lines == mirror(site)


def test_a_journal_that_was_rolled_back_locks_out(site, agent, certificate_tbs):
    """A copy of yesterday's disk would sign again what it has signed."""
    agent.die()
    del agent.desk.lines[-2:]

    agent.connect()

    locked_out(site, agent, "it has 4 lines, and told of 6 before")
    with pytest.raises(KeyUnavailable, match="vault-a is locked out: it has 4 lines"):
        site.signer().sign(certificate_tbs)
    assert 3 == len(agent.asked_to_sign)


def test_a_journal_that_took_another_way_locks_out(site, agent):
    """Rolled back and gone on: as long as before, and another one."""
    agent.die()
    del agent.desk.lines[-2:]
    for _ in range(4):
        agent.desk.write("note")

    agent.connect()

    locked_out(site, agent, "line 6 is not the one that it told of")


def test_a_line_that_was_altered_locks_out(site, agent):
    """Also while the line lives: what comes next does not continue what is held here."""
    agent.desk.lines[-1] = agent.desk.lines[-1].replace(b"signed", b"Signed")

    site.signer().sign(b"\x30\x00")

    locked_out(site, agent, "line 7 does not continue line 6")


def test_an_answer_that_the_journal_does_not_have_locks_out(site, agent):
    """Every answer tells its line; a line that says something else was made up later."""
    agent.tamper = lambda _, answer: answer
    site.signer().sign(b"\x30\x00")
    site.office.scribe.flush()
    with site.server.database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE agents_history SET journal_head = ? WHERE journal_index = 7", (bytes(32),)
        )

    locked_out(site, agent, "line 7 is not the one that it told of")


def test_an_agent_that_shows_nothing_is_asked_for_nothing(site, agent):
    """It is not locked out either: perhaps its disk is busy."""
    agent.die()
    agent.tamper = lambda request, answer: (
        agent.desk.refuse(request, "journal", "no") if isinstance(request, JournalRead) else answer
    )

    agent.connect()

    with pytest.raises(KeyUnavailable):
        site.signer()
    assert AgentState.ENROLLED == row(site).state
    agent.tamper = lambda _, answer: answer
    until(lambda: site.office.lines.get("vault-a"), "the line")


def test_other_lines_than_asked_for_are_not_believed(site, agent):
    """The first line has to continue the mirror."""

    def others(request, answer):
        if not isinstance(request, JournalRead):
            return answer
        lines = tuple(agent.desk.lines[:1])
        return JournalLines(request.id, answer.request, lines, agent.desk.mark())

    agent.tamper = others
    agent.desk.write("note")

    site.signer().sign(b"\x30\x00")

    locked_out(site, agent, "does not continue line 6")


def test_marks_of_an_agent_that_was_not_looked_at_do_not_count(site, agent):
    """A journal that took another way cannot overwrite what is known of it."""
    known = row(site).mark
    agent.die()
    del agent.desk.lines[-2:]
    for _ in range(20):
        agent.desk.write("note")

    agent.connect()

    locked_out(site, agent, "line 6")
    assert known == row(site).mark


def test_a_second_node_does_not_fetch_the_same(make, durable):
    """The one with the lowest number keeps the mirror."""
    site = make(durable)
    agent = site.agent("vault-a", "issuing")
    other = make(next_to=site, node=2, serves=True)
    until(lambda: other.office.listener.works.door.is_open, "the open door")
    # What the agent heard of the node first may be older than the port of its door.
    at = f"127.0.0.1:{other.office.listener.works.door.port}"
    until(lambda: at in [node.address for node in agent.nodes], "news of the node")
    agent.connect([node.address for node in agent.nodes].index(at))
    until(lambda: other.office.lines.get("vault-a"))

    other.signer().sign(b"\x30\x00")
    mirrored(site, agent)

    assert agent.desk.lines == mirror(site)
    assert AgentState.ENROLLED == row(site).state


def test_lines_that_another_node_stored_meanwhile_are_no_contradiction(site, agent):
    """Two nodes may ask at once, and a bundle may come late."""
    agent.die()
    for _ in range(3):
        agent.desk.write("note")
    journals, lines = site.office.journals, agent.desk.lines

    marks = [
        journals.take("vault-a", first, lines[first - 1 : last])
        for first, last in ((7, 8), (7, 9), (7, 8), (1, 9), (42, 42))
    ]

    assert [8, 9, 9, 9, 9] == [mark.index for mark in marks]
    assert lines == mirror(site)
    assert AgentState.ENROLLED == row(site).state


def test_retired_on_one_node_is_retired_on_all(make, durable):
    """Within a few seconds, without anybody telling the other node."""
    site = make(durable)
    agent = site.agent("vault-a", "issuing")
    other = make(next_to=site, node=2, serves=False)

    other.office.deeds.retire("vault-a", "cli:tester")

    until(lambda: not site.office.lines.present(), "the cut")
    assert "retired" in agent.ended[0]


@given(st.binary(max_size=100))
def test_any_octets_are_a_line_or_a_contradiction(octets):
    """Nothing else is raised."""
    with pytest.raises(Contradiction):
        follow(Mark(4, bytes(32)), octets)


def test_a_line_names_its_number_and_the_one_before():
    """And its own hash is the next one's beginning."""
    before = Mark(4, bytes(32))
    octets = json.dumps({"i": 5, "prev": before.head.hex(), "event": "x"}).encode()

    found = follow(before, octets)

    assert (5, "x") == (found.mark.index, found.fields["event"])
    with pytest.raises(Contradiction):
        follow(found.mark, octets)
    with pytest.raises(Contradiction):
        follow(before, octets.replace(b'"i": 5', b'"i": true'))
