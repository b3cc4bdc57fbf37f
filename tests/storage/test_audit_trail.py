"""The audit trail: what it promises, and what tampering it shows."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import delete, insert, update

from pikaserver.storage import audit
from pikaserver.storage.audit import TrailQuery
from pikaserver.storage.database import open_database
from pikaserver.storage.tables import audit_chain, audit_record

NOW = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def write(database, **changes):
    values = {"node": 1, "at": NOW, "event": "certificate.signing", "actor": "code:4711"}
    fields = changes.pop("fields", {"serial": "01ab", "names": ["dns:a"], "version": 3})
    with database.transaction() as connection:
        return audit.record(connection, **(values | changes), fields=fields)


def write_all(database, *several):
    with database.transaction() as connection:
        for fields in several:
            audit.record(connection, node=1, at=NOW, event="e", actor="a", fields=fields)


def tamper(database, statement):
    with database.transaction() as connection:
        assert 0 != connection.execute(statement).rowcount


def verify(database):
    with database.reading() as connection:
        return audit.verify(connection)


def export(database, **query):
    with database.reading() as connection:
        return [json.loads(line) for line in audit.export(connection, TrailQuery(**query))]


def of(sequence, node=1):
    return (audit_record.c.node == node) & (audit_record.c.sequence == sequence)


@pytest.fixture
def trail(database):
    """A database with five records of node 1 and two of node 2."""
    for number in range(5):
        write(database, at=NOW + timedelta(minutes=number), event=f"event-{number}")
    write(database, node=2, actor="operator:eve")
    write(database, node=2, actor="operator:eve")
    return database


def test_each_record_stands_on_the_one_before(trail):
    """The chain of a node starts with zeros, and each record names the hash before it."""
    first = write(trail, node=3)
    second = write(trail, node=3)

    assert (audit.START, 1) == (first.previous, first.sequence)
    assert (first.hash, 2) == (second.previous, second.sequence)
    report = verify(trail)
    assert (9, None) == (report.records, report.problem)
    assert audit.Head(2, second.hash) == report.heads[3]


def test_an_exported_trail_can_be_verified_without_us(trail):
    """SHA-256 over the previous hash and the line without hashes; the docstring says so."""
    lines = export(trail, node=1)

    previous = bytes(32)
    for line in lines:
        own = bytes.fromhex(line.pop("hash"))
        assert previous.hex() == line.pop("previous")
        line["at"] = datetime.fromisoformat(line["at"]).isoformat(timespec="microseconds")
        text = json.dumps(line, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(previous + text.encode()).digest() == own
        previous = own
    assert [1, 2, 3, 4, 5] == [line["sequence"] for line in lines]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1), (2, 2)]),
        ({"node": 2}, [(2, 1), (2, 2)]),
        ({"node": 1, "after": 3}, [(1, 4), (1, 5)]),
        ({"event": "event-2"}, [(1, 3)]),
        ({"actor": "operator:eve"}, [(2, 1), (2, 2)]),
        ({"since": NOW + timedelta(minutes=3)}, [(1, 4), (1, 5)]),
        ({"until": NOW + timedelta(minutes=1)}, [(1, 1), (2, 1), (2, 2)]),
    ],
)
def test_an_export_is_filtered(trail, query, expected):
    """Filters choose lines; each keeps the hash of its predecessor."""
    found = export(trail, **query)

    assert expected == [(line["node"], line["sequence"]) for line in found]
    assert all(len(line["previous"]) == 64 for line in found)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (update(audit_record).where(of(3)).values(actor="nobody"), "record 3 is altered"),
        (update(audit_record).where(of(3)).values(event="other"), "record 3 is altered"),
        (update(audit_record).where(of(3)).values(fields="{}"), "record 3 is altered"),
        (update(audit_record).where(of(3)).values(at=NOW), "record 3 is altered"),
        (update(audit_record).where(of(3)).values(hash=bytes(32)), "record 3 is altered"),
        (update(audit_record).where(of(3)).values(sequence=9), "record 3 is missing"),
        (delete(audit_record).where(of(1)), "record 1 is missing"),
        (delete(audit_record).where(of(4)), "record 4 is missing"),
        (delete(audit_record).where(of(5)), "cut off after record 4; its last one was 5"),
        (delete(audit_chain).where(audit_chain.c.node == 1), "record 5 is not the head"),
        (
            update(audit_chain).where(audit_chain.c.node == 1).values(hash=bytes(32)),
            "record 5 is not the head",
        ),
        (
            insert(audit_record).values(
                node=1, sequence=6, at=NOW, event="e", actor="a", fields="{}", hash=bytes(32)
            ),
            "record 6 is altered or does not follow",
        ),
        (
            insert(audit_chain).values(node=9, sequence=4, hash=bytes(32)),
            "node 9: the trail is cut off after record 0; its last one was 4",
        ),
    ],
)
def test_tampering_is_named(trail, statement, problem):
    """The first record that is altered, missing or added is told."""
    tamper(trail, statement)

    assert problem in verify(trail).problem


def test_a_record_is_taken_back_with_its_deed(database):
    """What was rolled back leaves no gap: the next record takes its place."""
    write(database)
    with pytest.raises(TypeError):
        write_all(database, {}, {}, {"refused": b"octets"})

    after = write(database)

    assert 2 == after.sequence
    assert (2, None) == (verify(database).records, verify(database).problem)


def test_two_processes_of_one_node_share_its_chain(database, url):
    """A command line writes between two records of the server; the chain stays whole."""
    other = open_database(url)
    for _ in range(3):
        write(database)
        write(other)

    assert (6, None) == (verify(database).records, verify(database).problem)
    other.close()


@pytest.mark.parametrize(
    "value", [b"secret", bytearray(b"secret"), {"a": 1}, object(), [b"secret"], [["nested"]]]
)
def test_what_is_not_json_is_refused(database, value):
    """Octets may be a key or a password; nothing of the deed is stored either."""
    with pytest.raises(TypeError, match="'proof' holds"):
        write(database, fields={"proof": value})

    assert 0 == verify(database).records


def test_numbers_that_are_none_are_refused(database):
    """NaN is no JSON."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(database, fields={"wait": float("nan")})


def test_an_actor_fits_into_its_column_on_every_database(database):
    """A requester's name comes from outside: it is escaped and cut, and the deed goes on."""
    write(database, actor="code:\x00\n\ud800" + "ü" * 400)

    (line,) = export(database)

    assert 300 == len(line["actor"])
    assert line["actor"].startswith("code:\\x00\\n\\ud800\\xfc")
    assert verify(database).problem is None


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    actor=some.text(max_size=400),
    fields=some.dictionaries(
        some.text(max_size=20),
        some.none() | some.booleans() | some.integers() | some.text() | some.lists(some.text()),
    ),
)
def test_whatever_is_recorded_is_read_again(database, actor, fields):
    """Any text of a caller makes a record that verifies."""
    written = write(database, actor=actor, fields=fields)

    (line,) = export(database, after=written.sequence - 1)

    assert fields == line["fields"]
    assert verify(database).problem is None
