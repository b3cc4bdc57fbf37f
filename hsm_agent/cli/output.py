"""Write what a command found: a table for people, JSON for programs."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence

_GAP = "  "
_NARROWEST = 8
_BROADEST_NAME = 24


def write_rows(records: object, columns: Sequence[str], output: str, empty: str = "") -> None:
    """Write a list of records; a table shows these columns, JSON everything."""
    rows = records if isinstance(records, list) else []
    if output == "json":
        write_json(rows)
    elif rows:
        write_table(
            [[column.replace("_", " ").upper() for column in columns], *_cells(rows, columns)]
        )
    elif empty:
        say(empty)


def write_record(record: object, output: str, hidden: Sequence[str] = ()) -> None:
    """Write one record; a table shows a row for each field that is not hidden."""
    if output == "json":
        write_json(record)
    elif isinstance(record, Mapping):
        shown = [name for name in record if name not in hidden]
        write_table([[name.replace("_", " "), cell(record[name])] for name in shown])


def write_json(value: object) -> None:
    """Write JSON."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{text}\n")


def warn(text: str) -> None:
    """Write a line to standard error; servers and proxies may have written some of it."""
    sys.stderr.write(f"hsm-agent: {printable(text)}\n")


def write_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows with their columns below each other."""
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    if sys.stdout.isatty():
        widths = _fit(widths, shutil.get_terminal_size().columns)
    for row in rows:
        say(_GAP.join(_pad(text, width) for text, width in zip(row, widths, strict=True)).rstrip())


def cell(value: object) -> str:
    """Return one line of text that cannot steer a terminal, whatever a name holds."""
    match value:
        case None:
            text = "-"
        case bool():
            text = "yes" if value else "no"
        case list() | tuple():
            text = ", ".join(map(cell, value)) or "-"
        case Mapping():
            text = ", ".join(f"{name}={cell(inner)}" for name, inner in value.items()) or "-"
        case _:
            text = str(value)
    return printable(text)


def printable(text: str) -> str:
    """Return a text whose unprintable characters are spelt out."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _cells(rows: Sequence[object], columns: Sequence[str]) -> list[list[str]]:
    return [
        [cell(row.get(column)) for column in columns] for row in rows if isinstance(row, Mapping)
    ]


def _columns(text: str) -> int:
    """Count the columns of a terminal that a text takes: wide characters take two."""
    wide = sum(unicodedata.east_asian_width(c) in {"W", "F"} for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def _fit(widths: list[int], width: int) -> list[int]:
    fitted = list(widths)
    room = width - len(_GAP) * (len(widths) - 1)
    while sum(fitted) > room and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _pad(text: str, size: int) -> str:
    if _columns(text) > size:
        while text and _columns(text) > size - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (size - _columns(text))
