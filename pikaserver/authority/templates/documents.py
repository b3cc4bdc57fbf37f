"""Templates as documents: read and checked, written, and compared rule by rule."""

import re
import tomllib
from collections.abc import Iterator, Mapping

import tomlkit

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import Template
from pikaserver.authority.templates.checks import check_template
from pikaserver.authority.templates.document import to_tables, to_template
from pikaserver.authority.templates.tables import read_document

LIMIT_OCTETS = 65_536
"""A document larger than this is not a template."""

# The parser's time grows with the square of a key's dots: 12 seconds for one of 64 KiB.
_DEEP_KEY = re.compile(
    r"""(?<![\w"'.-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){20}""", re.ASCII
)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)


def read_template(document: str, *, name: str, version: int) -> Template:
    """Return the checked template that a TOML document describes.

    Args:
        document: TOML; every option is described in the starters.
        name: lower-case letters, digits and hyphens: it stands in URLs.
        version: the number that this document gets.

    Raises:
        RequestRejected: one sentence with the dotted key and, where one can be guessed, the
            spelling that was meant.
    """
    if not _NAME.fullmatch(name):
        raise RequestRejected(
            f"template {name!a}: a name is lower-case letters, digits and inner hyphens"
        )
    try:
        template = to_template(read_document(_tables(document)), name=name, version=version)
        check_template(template)
    except RequestRejected as problem:
        raise RequestRejected(f"template '{name}': {problem}") from None
    return template


def write_template(template: Template) -> str:
    """Return the document of a template, with every option spelt out and without comments."""
    return tomlkit.dumps(to_tables(template))


def diff(old: str, new: str) -> str:
    """Return what changed from one document to the next, a line per rule; empty for nothing.

    Documents are compared by what they mean: comments, order and spelt-out defaults do not
    count.

    Raises:
        RequestRejected: one of them is not a template.
    """
    before = dict(_flat(to_tables(read_template(old, name="old", version=1))))
    after = dict(_flat(to_tables(read_template(new, name="new", version=1))))
    keys = [*before, *(key for key in after if key not in before)]
    changed = (key for key in keys if before.get(key) != after.get(key))
    return "\n".join(_change(key, before.get(key), after.get(key)) for key in changed)


def _tables(document: str) -> dict[str, object]:
    try:
        octets = len(document.encode())
    except UnicodeEncodeError:
        raise RequestRejected("it is not Unicode text") from None
    if octets > LIMIT_OCTETS:
        raise RequestRejected(f"it has {octets} octets; {LIMIT_OCTETS} are allowed")
    if _DEEP_KEY.search(document):
        raise RequestRejected("it has a key of more than 20 parts")
    try:
        return tomllib.loads(document)
    except (ValueError, RecursionError) as problem:  # a number of 5000 digits is a ValueError
        raise RequestRejected(f"it is not TOML: {problem}") from None


def _flat(tables: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _change(key: str, before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        signs = [f"+{item}" for item in after if item not in before]
        signs += [f"-{item}" for item in before if item not in after]
        return f"{key}: {', '.join(signs) or 'another order: ' + ', '.join(map(str, after))}"
    return f"{key}: {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
