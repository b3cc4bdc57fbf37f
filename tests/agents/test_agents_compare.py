"""``agent compare``: every difference between what an agent did and what we know of it."""

import hashlib
import json

import pytest

from pikaserver.testing.fake_agent_desk import FakeDesk
from pikaserver.testing.patience import until
from pikaserver_agents.journals import Journals
from pikaserver_agents.storage import agents
from pikaserver_agents.structures import PROOF


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look at the journals often, and do not wait for what comes late."""
    monkeypatch.setattr("pikaserver_agents.steward.MIRROR_SECONDS", 0.0)
    monkeypatch.setattr("pikaserver_agents.steward.EACH_SECONDS", 0.05)
    monkeypatch.setattr("pikaserver_agents.comparison.WRITTEN_SECONDS", 0.05)


@pytest.fixture
def agent(house):
    """An agent with an authority that has issued something, all of it in the mirror."""
    made = house.agent()
    house.issuing()
    for number in range(3):
        assert 200 == house.certify("site", f"plc-{number}").status_code
    house.server.crls.issue("site")
    settle(house, made)
    return made


def settle(house, agent):
    """Wait until history and mirror are written."""
    house.office.scribe.flush()

    def known():
        with house.server.database.reading() as connection:
            row = agents.find(connection, agent.name)
        return row.mirrored.index == len(agent.desk.lines)

    until(known, "the mirror")


def differences(house, code=6):
    """Compare by the command, and return what differs."""
    ended, out, err = house.run("agent", "compare", "vault-a", "-o", "json")
    assert code == ended, out + err
    return json.loads(out)["differences"]


def rewrite(desk, change):
    """Write the journal anew, with other lines, so that the chain holds."""
    old, fresh = [json.loads(line) for line in desk.lines], FakeDesk(lambda: 0)
    for line in filter(None, map(change, old)):
        event = line.pop("event")
        fresh.write(event, **{k: v for k, v in line.items() if k not in {"i", "prev", "ts"}})
    desk.lines[:] = fresh.lines


def execute(house, statement, *values):
    with house.server.database.transaction() as connection:
        connection.exec_driver_sql(statement, values)


def test_nothing_differs_where_nobody_lied(house, agent):
    """Lines, requests and certificates are counted."""
    found = house.json("agent", "compare", "vault-a")

    assert ([], "agent", len(agent.desk.lines)) == (
        found["differences"],
        found["source"],
        found["lines"],
    )
    assert 3 == found["certificates"]
    assert 4 <= found["requests"]
    assert "0 differences" in house("agent", "compare", "vault-a")


def test_a_signature_that_nobody_asked_for_is_found(house, agent):
    """Somebody used the agent behind the server's back."""
    key = agent.desk.keys["soft/site"]
    agent.desk.write("sign", key=key.spki_hash.hex(), tbs="ab" * 32, kind="cert")

    (difference,) = differences(house)

    assert (
        f"line {len(agent.desk.lines)}: cert sha256:{'ab' * 32} was signed with key" in difference
    )
    assert "never asked for it" in difference


def test_a_signature_that_failed_is_no_difference(house, agent):
    """It was journaled before the key was used, and the key did not sign; proofs are harmless."""
    key = agent.desk.keys["soft/site"].spki_hash.hex()
    mark = agent.desk.write("sign", key=key, tbs="ab" * 32, kind="cert")
    agent.desk.write("failed", of=mark.index, code="token-error")
    agent.desk.write("sign", key=key, tbs="cd" * 32, kind=PROOF)

    assert [] == differences(house, code=0)


def test_a_line_that_was_taken_out_is_found(house, agent):
    """The chain was made to hold again; the mirror knows better."""
    rewrite(agent.desk, lambda line: None if line["i"] == 3 else line)

    (difference,) = differences(house)

    assert "the journal is broken: " in difference


def test_a_journal_that_was_altered_before_it_was_mirrored_is_found(house, agent, monkeypatch):
    """Our history knows what the agent told of each line."""
    monkeypatch.setattr(Journals, "catch_up", lambda *_, **__: None)
    execute(house, "DELETE FROM agents_journal_line")
    execute(house, 'UPDATE agents_mark SET "index" = 0, head = ? WHERE node = 0', bytes(32))
    rewrite(
        agent.desk,
        lambda line: line | {"tbs": "ab" * 32} if line["event"] == "sign" else line,
    )

    found = differences(house)

    assert any("is not the one that the agent told of" in one for one in found)
    assert any("never asked for it" in one for one in found)
    assert 3 == len([one for one in found if "no journal has its signature" in one])


@pytest.mark.usefixtures("agent")
def test_a_certificate_that_no_journal_knows_is_found(house):
    """It was signed elsewhere, or the agent hides it."""
    execute(
        house,
        "UPDATE certificate SET tbs_hash = ? WHERE serial ="
        " (SELECT max(serial) FROM certificate WHERE door = 'est')",
        b"\xab" * 32,
    )

    found = differences(house)

    assert 1 == len([one for one in found if "no journal has its signature" in one])


def test_a_journal_that_ends_early_is_found(house, agent):
    """Lines that were there are gone."""
    del agent.desk.lines[-2:]

    (difference,) = differences(house)

    assert "the journal is broken: it ends at line" in difference


def test_what_is_known_is_compared_while_the_agent_is_away(house, agent):
    """The mirror stands for it, and the result says so."""
    agent.die()
    until(lambda: not house.office.lines.present())

    found = house.json("agent", "compare", "vault-a")

    assert ("mirror", []) == (found["source"], found["differences"])
    assert "of our mirror: the agent cannot be asked now" in house("agent", "compare", "vault-a")


def test_an_agent_that_left_before_its_last_lines_were_mirrored_is_no_difference(house, agent):
    """Our mirror is seconds behind; what it lacks, the agent's answers tell of."""
    agent.die()
    until(lambda: not house.office.lines.present(), "the end of the line")
    lines = agent.desk.lines
    head = hashlib.sha256(lines[0]).digest()
    execute(house, "DELETE FROM agents_journal_line WHERE number > 1")
    execute(house, 'UPDATE agents_mark SET "index" = 1, head = ? WHERE node = 0', head)

    found = house.json("agent", "compare", "vault-a")

    assert ("mirror", 1, []) == (found["source"], found["lines"], found["differences"])


def test_a_mirror_that_was_altered_is_found(house, agent):
    """Whoever changes our copy contradicts the agent, and the chain."""
    execute(house, "UPDATE agents_journal_line SET octets = ? WHERE number = 2", b'{"i":2}')

    (difference,) = differences(house)
    assert "line 2 is not the one that it showed before" in difference
    agent.die()
    until(lambda: not house.office.lines.present())
    (difference,) = differences(house)
    assert "line 2 does not continue line 1" in difference


def test_a_signature_of_another_agent_is_no_difference(house, agent):
    """Two agents with one key: each certificate is in one of their journals."""
    twin = house.agent("vault-b")
    twin.desk.keys["soft/site"] = agent.desk.keys["soft/site"]
    twin.tell_inventory()
    until(lambda: 2 == len(house.office.directory.refresh().keys))
    agent.die()
    until(lambda: 1 == len(house.office.lines.present()))
    assert 200 == house.certify("site", "plc-9").status_code
    settle(house, twin)

    assert [] == differences(house, code=0)
    code, out, _ = house.run("agent", "compare", "vault-b")
    assert (0, True) == (code, "0 differences" in out)


def test_an_agent_that_is_not_known_is_told(house):
    """As everywhere: 3, and the names that there are."""
    code, _, err = house.run("agent", "compare", "vault-x")

    assert (3, True) == (code, "there is no agent 'vault-x'" in err)
