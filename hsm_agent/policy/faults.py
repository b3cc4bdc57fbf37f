"""What is wrong with a policy file, told with line, table and key; and refusals by its rules."""

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches

_HEADER = re.compile(r"\s*\[[^\[].*\]\s*(#.*)?")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[.=]""")


class PolicyFault(Exception):
    """The file is not a policy; the text is one sentence with line, table and key."""


class WrongValue(Exception):
    """A value makes no sense; whoever knows where it stands makes a `PolicyFault` of it."""


class Refusal(Exception):
    """A rule forbids it; ``code`` and ``after`` are those of ``verdicts.Denied``."""

    def __init__(self, why: str, code: str = "policy", after: int = 0) -> None:
        super().__init__(why)
        self.code = code
        self.after = after


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?``, or nothing when nothing comes close."""
    close = get_close_matches(wrong, list(right), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def table_name(path: tuple[str, ...]) -> str:
    """Return a table's name as it is written: ``[keys."hsm/issuing".cert]``."""
    plain = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
    return "[" + ".".join(part if plain.fullmatch(part) else f'"{part}"' for part in path) + "]"


def fault(text: str, path: tuple[str, ...], key: str, what: str) -> PolicyFault:
    """Return the fault of a key in a table, with its line where it can be found."""
    line = _line(text, path, key)
    where = [f"line {line}"] if line else []
    where += [table_name(path)] if path else []
    return PolicyFault(f"{', '.join(where)}: {key} {what}" if where else f"{key} {what}")


def _line(text: str, path: tuple[str, ...], key: str) -> int:
    """Find the line of a key below its table's header, or of the header; 0 without either."""
    table: tuple[str, ...] = ()
    header = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if _HEADER.fullmatch(line):
            table = _header_path(line)
            if table == (*path, key):
                return number
            header = number if table == path else header
        elif table == path and (found := _KEY.match(line)) and found[1].strip("\"'") == key:
            return number
    return header


def _header_path(line: str) -> tuple[str, ...]:
    try:
        tables: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ("",)
    path: tuple[str, ...] = ()
    while isinstance(tables, dict) and tables:
        name, tables = next(iter(tables.items()))
        path += (name,)
    return path
