"""One line of the journal: its one encoding, and the hash that the next line carries."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from hsm_agent.wire.messages import Mark

Field: TypeAlias = "str | int | bool | Sequence[str]"
Line: TypeAlias = Mapping[str, Field]

LONGEST_LINE = 65_536
"""In octets; certificates with thousands of names are told by their hash, not by their names."""
BEGINNING = Mark(0, bytes(32))
"""The mark of an empty journal; its head is the ``prev`` of the first line."""
LATEST = 253_402_300_800_000
"""Milliseconds since 1970 at the end of the year 9999; later ones have no month."""
HASH_DIGITS = 64

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class BrokenLine(Exception):
    """These octets are no line of a journal, or not at this place."""


def encode(fields: Line) -> bytes:
    """Return the one form of a line: JSON, keys sorted, no spaces, UTF-8, no newline."""
    # Python may hold half of a surrogate pair; JSON has an escape for it, UTF-8 has nothing.
    return _ENCODER.encode(fields).encode(errors="backslashreplace")


def decode(octets: bytes) -> dict[str, Field]:
    """Read a line.

    Raises:
        BrokenLine: it is not what `encode` writes, or lacks a field of the chain.
    """
    if len(octets) > LONGEST_LINE:
        raise BrokenLine(f"a line of {len(octets)} octets")
    try:
        fields = json.loads(octets)
        same = encode(fields) == octets
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenLine("no JSON") from error
    if not same or not isinstance(fields, dict):
        raise BrokenLine("not in the one form that a line has")
    if not all(map(_is_field, fields.values())):
        raise BrokenLine("a value that lines do not have")
    if not (
        text(fields, "event")
        and len(text(fields, "prev")) == HASH_DIGITS
        and number(fields, "i") > 0
        and 0 <= number(fields, "ts") < LATEST
    ):
        raise BrokenLine("without event, i, prev or ts")
    return fields


def follow(before: Mark, octets: bytes) -> tuple[Mark, dict[str, Field]]:
    """Read the line that comes after a mark; return its own mark and its fields.

    Raises:
        BrokenLine: it is none, or does not continue that mark.
    """
    fields = decode(octets)
    if fields["i"] != before.index + 1:
        raise BrokenLine(f"line {fields['i']} where {before.index + 1} was to come")
    if fields["prev"] != before.head.hex():
        raise BrokenLine("does not continue the line before")
    return Mark(before.index + 1, line_hash(octets)), fields


def skim(before: Mark, octets: bytes) -> tuple[Mark, dict[str, Field]]:
    """Do as `follow`, but read only the two fields that chain a line; nothing else is told.

    Quotes within texts are escaped and keys are sorted, so neither field stands anywhere else.

    Raises:
        BrokenLine: it does not continue that mark.
    """
    index = before.index + 1
    if b',"i":%d,"' % index not in octets:
        raise BrokenLine(f"not the line {index} that was to come")
    if b',"prev":"%s","' % before.head.hex().encode() not in octets:
        raise BrokenLine("does not continue the line before")
    return Mark(index, line_hash(octets)), {}


def start(octets: bytes) -> tuple[Mark, dict[str, Field]]:
    """Read a line that is believed for itself; return its own mark and its fields.

    Raises:
        BrokenLine: it is none.
    """
    fields = decode(octets)
    return Mark(number(fields, "i"), line_hash(octets)), fields


def line_hash(octets: bytes) -> bytes:
    """Return the SHA-256 of a line without its newline."""
    return hashlib.sha256(octets).digest()


def number(line: Line, name: str) -> int:
    """Return a number of a line, 0 where there is none."""
    value = line.get(name)
    return value if type(value) is int else 0


def text(line: Line, name: str) -> str:
    """Return a text of a line, empty where there is none."""
    value = line.get(name)
    return value if isinstance(value, str) else ""


def month(ts: int) -> str:
    """Return the month of a time in milliseconds, ``2026-02``, which names the file."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m")


def _is_field(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | int)
