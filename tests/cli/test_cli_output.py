"""What a command found, as a table, JSON, YAML and PEM."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, StrEnum
from pathlib import Path

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.cli.output import table, write


class Colour(Enum):
    """An enumeration."""

    RED = 3


class State(StrEnum):
    """An enumeration of strings."""

    VALID = "valid"


RECORD = {
    "serial": "0A1B",
    "names": ("dns:a.example", "dns:b.example"),
    "not_after": datetime(2027, 1, 2, 5, tzinfo=timezone(timedelta(hours=2))),
    "every": timedelta(minutes=2),
    "state": State.VALID,
    "colour": Colour.RED,
    "path": Path("/x"),
    "digest": b"\x01\xff",
    "doors": frozenset({"est", "acme"}),
    "revoked": None,
    "current": True,
    "nested": {"a": 1},
}

PLAIN = {
    "serial": "0A1B",
    "names": ["dns:a.example", "dns:b.example"],
    "not_after": "2027-01-02T03:00:00Z",
    "every": 120,
    "state": "valid",
    "colour": 3,
    "path": "/x",
    "digest": "01ff",
    "doors": ["acme", "est"],
    "revoked": None,
    "current": True,
    "nested": {"a": 1},
}


def test_json_and_yaml_say_the_same(capsys):
    """Times in UTC, durations in seconds, octets in hex."""
    write(RECORD, "json")
    as_json = capsys.readouterr().out
    write([RECORD], "yaml")
    as_yaml = capsys.readouterr().out

    assert PLAIN == json.loads(as_json)
    assert [PLAIN] == yaml.safe_load(as_yaml)


def test_records_become_rows_under_their_names(capsys):
    """Aligned, without blanks at the end."""
    write(
        [
            {"name": "root", "not_after": None, "current": True},
            {"name": "issuing-1", "not_after": RECORD["not_after"], "current": False},
        ],
        "table",
    )

    assert [
        "NAME       NOT AFTER             CURRENT",
        "root       -                     yes",
        "issuing-1  2027-01-02T03:00:00Z  no",
    ] == capsys.readouterr().out.splitlines()


def test_one_record_becomes_a_row_per_field():
    """Its values stay whole lines."""
    lines = table({"serial": "0a", "names": ["dns:a", "dns:b"], "nested": {"a": True}}, None)

    assert ["serial  0a", "names   dns:a, dns:b", "nested  a=yes"] == lines


def test_nothing_found_is_an_empty_table_and_an_empty_list(capsys):
    """Scripts need no special case."""
    write([], "table")
    write([], "pem")
    nothing = capsys.readouterr().out
    write([], "json")

    assert not nothing
    assert [] == json.loads(capsys.readouterr().out)


def test_pem_is_written_as_it_is(capsys):
    """One after the other, as certificate files are."""
    write([{}, {}], "pem", pem=["-----A-----\n", "-----B-----\n"])

    assert "-----A-----\n-----B-----\n" == capsys.readouterr().out


def test_pem_of_what_has_none_is_wrong_usage():
    """An empty answer would look like an empty list."""
    with pytest.raises(click.UsageError, match="PEM"):
        write({"version": 1}, "pem")


def test_a_subject_cannot_steer_the_terminal():
    """Control characters from a certificate are shown, not obeyed."""
    (_, row) = table([{"subject": "CN=x\x1b[2J\n\x9b\u202e"}], None)

    assert "CN=x\\x1b[2J\\x0a\\x9b\\x202e" == row


def test_a_table_fits_the_terminal():
    """The widest column gives way, with a mark where something is missing."""
    rows = [{"id": 1, "subject": "CN=" + "x" * 90, "state": "valid"}]

    header, row = table(rows, 40)

    assert 40 >= len(row)
    assert row.startswith("1   CN=xxx")
    assert "…  valid" in row
    assert header.index("STATE") == row.index("valid")


def test_wide_characters_take_two_columns():
    """Names in Chinese stay aligned."""
    _, first, second = table([{"name": "証明書", "x": 1}, {"name": "abcdef", "x": 2}], None)

    assert ("証明書  1", "abcdef  2") == (first, second)


@dataclass(frozen=True)
class Unknown:
    """A type that the writer does not know."""

    def __str__(self):
        return "unknown"


def test_what_nobody_knows_is_written_as_text(capsys):
    """Better than a traceback."""
    write({"x": Unknown(), "at": datetime(2026, 1, 1, tzinfo=UTC)}, "json")

    assert {"x": "unknown", "at": "2026-01-01T00:00:00Z"} == json.loads(capsys.readouterr().out)


@given(
    st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.text() | st.integers()})),
    st.none() | st.integers(1, 200),
)
def test_every_record_is_one_printable_line(records, width):
    """Whatever the values hold."""
    lines = table(records, width)

    assert (len(records) + 1 if records else 0) == len(lines)
    assert all(line.isprintable() for line in lines)
