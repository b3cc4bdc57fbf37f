"""The audit trail is verified, exported and read by command."""

import json
import sqlite3

import pytest


def damage(shell, statement):
    """Change the database behind everybody's back."""
    with sqlite3.connect(shell.data / "pikaserver.db") as connection:
        connection.execute(statement)
    connection.close()


def test_an_intact_trail_verifies(shell):
    """With the number of records and the heads, to be kept elsewhere."""
    report = shell.json("audit", "verify")

    assert (True, None) == (report["intact"], report["problem"])
    assert 0 < report["records"]
    assert 64 == len(report["heads"]["1"])


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit_record SET actor = 'nobody' WHERE sequence = 3", "record 3 is altered"),
        ("DELETE FROM audit_record WHERE sequence = 3", "record 3 is missing"),
        ("DELETE FROM audit_record WHERE sequence > 3", "cut off after record 3"),
    ],
)
def test_a_damaged_trail_is_told_with_its_first_record(fresh_shell, statement, problem):
    """And with the exit code 1; ``db check`` says the same."""
    damage(fresh_shell, statement)

    answer = fresh_shell.try_("audit", "verify", "-o", "json")
    checked = fresh_shell.try_("db", "check", "-o", "json")

    assert (1, False) == (answer.code, answer.json["intact"])
    assert problem in answer.json["problem"]
    assert (1, True) == (checked.code, any(problem in one for one in checked.json["problems"]))


def test_records_are_exported_as_lines_of_json(shell):
    """All, by kind, by time; to a file as well."""
    shell("code", "create", "--template", "device")
    out = shell.folder / "trail.jsonl"
    shell("audit", "export", "--out", out)

    records = [json.loads(line) for line in out.read_text().splitlines()]
    codes = [
        json.loads(line)
        for line in shell("audit", "export", "--event", "code.created").text.splitlines()
    ]

    assert [*range(1, len(records) + 1)] == [one["sequence"] for one in records]
    assert ["code.created"] == [one["event"] for one in codes]
    assert "" == shell("audit", "export", "--until", "2001-01-01").text
    assert len(records) == len(shell("audit", "export", "--since", "2001-01-01").text.splitlines())


def test_the_last_records_are_listed(shell):
    """In their order, filtered where asked."""
    records = shell.json("audit", "verify")["records"]

    last = shell.json("audit", "list", "--last", "2")

    assert [records - 1, records] == [row["sequence"] for row in last]
    assert {"up"} == {row["actor"] for row in shell.json("audit", "list", "--actor", "up")}
    assert 1 == len(shell.json("audit", "list", "--event", "template.saved", "--last", "1"))
