"""Two histories of the same deeds: equal after all that happens, and no line can be taken out."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from pikaserver.testing.patience import until
from tests.agents_whole.deeds import approved, leaf, new_key
from tests.agents_whole.house import AgentHost
from tests.agents_whole.judging import Judge


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return Judge(tmp_path_factory.mktemp("judge"))


def work(house, host, judge):
    """Let an agent do all that it can be asked for, refusals and a restart among it."""
    name = host.name
    root, sub = f"root-{name}", f"sub-{name}"
    house("ca", "create", root, *new_key(root, agent=name))
    approved(house, host, "ca", "create", sub, "--parent", root, *new_key(sub, agent=name))
    _, serial, _ = leaf(house, judge, sub)
    house("cert", "revoke", serial, "--yes")
    house("crl", "generate", sub)
    refused = house.try_("ca", "create", f"x-{name}", "--parent", sub, "--path-length", "0")
    assert 1 == refused.code, refused.errors
    assert 1 == house.try_("ca", "create", f"y-{name}", *new_key("y?profile=no", agent=name)).code
    host.stop()
    house.start(host)
    house("agent", "test", name)
    leaf(house, judge, sub)


@pytest.fixture(scope="module")
def host(house, judge):
    """Give an agent after a busy day."""
    made = house.agent("vault-a")
    work(house, made, judge)
    return made


def settled(house, host):
    """Wait until the server's mirror has every line of a journal."""
    wanted = len(host.journal())
    until(lambda: house.json("agent", "show", host.name)["mirrored_lines"] >= wanted, "the mirror")


def differences(house, name, code=6):
    answer = house.try_("agent", "compare", name, "-o", "json")
    assert code == answer.code, answer.errors + answer.text
    return answer.json["differences"]


def execute(house, statement, *values):
    """Change the server's database behind its back."""
    with closing(sqlite3.connect(house.data / "pikaserver.db", timeout=30)) as database, database:
        return database.execute(statement, values).fetchall()


def test_both_histories_are_equal(house, host):
    """Line by line, request by request, certificate by certificate."""
    settled(house, host)
    told = house.json("agent", "compare", "vault-a")

    assert ([], "agent") == (told["differences"], told["source"])
    assert len(host.journal()) == told["lines"]
    assert told["certificates"] >= 4
    report = host.json("journal", "verify")
    assert (True, []) == (report["sound"], report["faults"])
    assert {"sign", "signed", "refused", "generated", "certificate", "approved"} <= set(
        report["events"]
    )


CHANGES = {
    "a line taken out": lambda lines: lines[:7] + lines[8:],
    "two lines exchanged": lambda lines: [*lines[:7], lines[8], lines[7], *lines[9:]],
    "a line twice": lambda lines: [*lines[:8], lines[7], *lines[8:]],
    "a line changed": lambda lines: [*lines[:7], lines[7].replace(b'"', b"'", 1), *lines[8:]],
    "one digit changed": lambda lines: [*lines[:7], next_digit(lines[7]), *lines[8:]],
    "a line of one's own": lambda lines: [*lines[:7], b'{"event":"start"}', *lines[7:]],
    "the beginning taken out": lambda lines: lines[1:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_journal_that_was_touched_is_not_sound(host, tmp_path, change):
    """Whoever has no time to write all of it anew is found on the agent's own host."""
    copy = AgentHost(tmp_path / "copy", host.name)
    shutil.copytree(host.data, copy.data, ignore=shutil.ignore_patterns("*.sock"))
    (file,) = copy.data.glob("journal/*.jsonl")
    file.write_bytes(b"".join(line + b"\n" for line in CHANGES[change](lines_of(file))))

    answer = copy.try_("journal", "verify", "-o", "json")

    assert 6 == answer.code
    assert answer.json["faults"]


def test_a_journal_that_was_written_anew_locks_the_agent_out(house, judge):
    """Its chain holds again, and it is not the one that the server has seen."""
    host = house.agent("vault-b")
    work(house, host, judge)
    settled(house, host)
    host.stop()

    (file,) = host.data.glob("journal/*.jsonl")
    rewrite(file, lambda line: line["event"] != "refused")
    refused = host.try_("run")
    (host.data / "state" / "journal-index").unlink()
    sound = host.json("journal", "verify")["sound"]
    host.begin()
    until(lambda: state(house, "vault-b") == "locked", "the lock")

    assert 0 != refused.code
    assert "lines were lost or altered" in refused.errors
    assert sound
    (found,) = differences(house, "vault-b")
    assert "vault-b is locked out: it has" in found
    refused = house.try_("crl", "generate", "sub-vault-b")
    assert 4 == refused.code
    assert "locked out" in refused.errors


def test_a_journal_that_was_rolled_back_locks_the_agent_out(house, judge, tmp_path):
    """A restored snapshot of the agent's host: serials could be used a second time."""
    host = house.agent("vault-c")
    work(house, host, judge)
    host.stop()
    shutil.copytree(host.data, tmp_path / "snapshot", ignore=shutil.ignore_patterns("*.sock"))
    house.start(host)
    leaf(house, judge, "sub-vault-c")
    host.stop()

    shutil.rmtree(host.data)
    shutil.copytree(tmp_path / "snapshot", host.data)
    host.begin()

    until(lambda: state(house, "vault-c") == "locked", "the lock")
    assert host.json("journal", "verify")["sound"]
    until(lambda: "the server said locked" in host.log, "what the agent is told")
    (found,) = differences(house, "vault-c")
    assert "vault-c is locked out: " in found
    events = [one["event"] for one in house.json("audit", "list", "--last", "100")]
    assert "agent.locked" in events


SERVER_CHANGES = {
    "a request taken out": (
        "DELETE FROM agents_history WHERE purpose = 'crl' AND outcome = 'signed' AND agent = ?",
        "never asked for it",
    ),
    "a request changed": (
        "UPDATE agents_history SET tbs_hash = zeroblob(32) WHERE purpose = 'crl' AND agent = ?",
        "tells of something else",
    ),
    "a line of the mirror changed": (
        "UPDATE agents_journal_line SET octets = zeroblob(9) WHERE number = 9 AND agent = ?",
        "line 9 is not the one that it showed before",
    ),
    "an answer that was never given": (
        "UPDATE agents_history SET journal_index = 100000 WHERE outcome = 'signed' AND agent = ?",
        "the journal has no line 100000",
    ),
}


@pytest.mark.parametrize("change", SERVER_CHANGES)
def test_what_is_changed_at_the_server_is_found(house, host, change):
    """The agent's own journal is the witness."""
    settled(house, host)
    statement, told = SERVER_CHANGES[change]
    tables = {
        name: execute(house, f"SELECT * FROM {name} WHERE agent = ?", host.name)  # noqa: S608 - ours
        for name in ("agents_history", "agents_journal_line")
    }

    execute(house, statement, host.name)
    found = differences(house, host.name)
    for name, rows in tables.items():
        execute(house, f"DELETE FROM {name} WHERE agent = ?", host.name)  # noqa: S608 - ours
        for row in rows:
            marks = ",".join("?" * len(row))
            execute(house, f"INSERT INTO {name} VALUES ({marks})", *row)  # noqa: S608 - ours

    assert any(told in one for one in found), found
    assert [] == differences(house, host.name, code=0)


def lines_of(file):
    return file.read_bytes().splitlines()


def next_digit(line):
    """Return a line with one digit of its time changed."""
    fields = json.loads(line)
    return line.replace(str(fields["ts"]).encode(), str(fields["ts"] + 1).encode())


def rewrite(file, wanted):
    """Leave lines out and chain the others anew."""
    head, written = bytes(32), []
    for fields in map(json.loads, lines_of(file)):
        if wanted(fields):
            line = {**fields, "i": len(written) + 1, "prev": head.hex()}
            text = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            written.append(text.encode())
            head = hashlib.sha256(written[-1]).digest()
    file.write_bytes(b"".join(line + b"\n" for line in written))


def state(house, name):
    return {one["agent"]: one["state"] for one in house.agents()}[name]
