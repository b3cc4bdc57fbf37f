"""Write what a command found: as a table for people, as JSON or YAML for programs, as PEM."""

import functools
import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

import click

FORMATS = ("table", "json", "yaml", "pem")

Record = Mapping[str, object]
"""One object by the names of its fields, which are lower-case words with underscores."""

_GAP = "  "
_NARROWEST = 8


def write(result: Record | Sequence[Record], output: str, *, pem: Sequence[str] = ()) -> None:
    """Write one record or a list of records to standard output.

    Args:
        result: a record, or several with the same fields.
        output: one of `FORMATS`.
        pem: the same objects in PEM, where there is such a form.

    Raises:
        click.UsageError: PEM was asked for and there is none.
    """
    match output:
        case "json":
            click.echo(json.dumps(_plain(result), indent=2))
        case "yaml":
            _write_yaml(result)
        case "pem":
            _write_pem(result, pem)
        case _:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            for line in table(result, width):
                click.echo(line)


def table(result: Record | Sequence[Record], width: int | None) -> list[str]:
    """Return the lines of a table: a row per record, or a row per field of a single one.

    Args:
        result: what to show.
        width: of the terminal; ``None`` leaves every value whole.
    """
    if isinstance(result, Mapping):
        rows = [[_title(name), _cell(value)] for name, value in result.items()]
    elif result:
        names = list(result[0])
        rows = [[_title(name).upper() for name in names]]
        rows += [[_cell(record.get(name)) for name in names] for record in result]
    else:
        return []
    widths = _fit([max(map(_columns, column)) for column in zip(*rows, strict=True)], width)
    return [
        _GAP.join(_pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _write_yaml(result: Record | Sequence[Record]) -> None:
    import yaml

    click.echo(yaml.safe_dump(_plain(result), sort_keys=False, allow_unicode=True), nl=False)


def _write_pem(result: Record | Sequence[Record], pem: Sequence[str]) -> None:
    if result and not pem:
        raise click.UsageError("there is nothing here that could be written as PEM")
    for text in pem:
        click.echo(text.rstrip("\n"))


@functools.singledispatch
def _plain(value: object) -> object:
    """Return a value in the types that JSON and YAML know."""
    return str(value)


@_plain.register(type(None))
@_plain.register(int)
@_plain.register(float)
def _(value: object) -> object:
    return value


@_plain.register(Mapping)
def _(value: Mapping[object, object]) -> object:
    return {str(name): _plain(inner) for name, inner in value.items()}


@_plain.register(list)
@_plain.register(tuple)
def _(value: Iterable[object]) -> object:
    return [_plain(inner) for inner in value]


@_plain.register(set)
@_plain.register(frozenset)
def _(value: Iterable[object]) -> object:
    return sorted(map(str, value))


@_plain.register
def _(value: Enum) -> object:
    return _plain(value.value)


@_plain.register
def _(value: datetime) -> object:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@_plain.register
def _(value: timedelta) -> object:
    return int(value.total_seconds())


@_plain.register
def _(value: bytes) -> object:
    return value.hex()


def _cell(value: object) -> str:
    """Return one line of text that cannot steer a terminal, whatever a subject holds."""
    plain = _plain(value)
    match plain:
        case None:
            text = "-"
        case bool():
            text = "yes" if plain else "no"
        case list():
            text = ", ".join(map(_cell, plain))
        case dict():
            text = ", ".join(f"{name}={_cell(inner)}" for name, inner in plain.items())
        case _:
            text = str(plain)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _title(name: str) -> str:
    return name.replace("_", " ")


def _columns(text: str) -> int:
    """Count the columns of a terminal that a text takes: wide characters take two."""
    wide = sum(unicodedata.east_asian_width(c) in {"W", "F"} for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def _fit(widths: list[int], width: int | None) -> list[int]:
    """Shrink the widest columns until a line fits into the terminal, as far as that can be."""
    if width is None:
        return widths
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
