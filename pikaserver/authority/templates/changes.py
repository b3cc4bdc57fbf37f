"""Single options of a template's document, set without touching anything else in it."""

import re
from collections.abc import Sequence

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Item

from pikaserver.api.errors import RequestRejected

_CHANGE = re.compile(r"(?P<path>[A-Za-z][\w-]*(\.[A-Za-z][\w-]*){0,5})=(?P<value>.*)", re.DOTALL)


def with_changes(document: str, changes: Sequence[str]) -> str:
    """Return a document with options set as ``scep.enabled=true`` says; comments stay.

    A value is TOML; what cannot be read as TOML is text, so ``validity.period=90d`` needs no
    quotes.  Whether the options exist is found out when the document is read.

    Raises:
        RequestRejected: a change is not of this form, or goes into what is no table.
    """
    tables = tomlkit.parse(document)
    for change in changes:
        found = _CHANGE.fullmatch(change)
        if found is None:
            raise RequestRejected(f"{change!a} is not of the form scep.enabled=true")
        *above, key = found["path"].split(".")
        table: AbstractTable | tomlkit.TOMLDocument = tables
        for name in above:
            inner = table.setdefault(name, tomlkit.table())
            if not isinstance(inner, AbstractTable):
                raise RequestRejected(f"{found['path']}: {name} is not a table")
            table = inner
        table[key] = _value(found["value"])
    return tomlkit.dumps(tables)


def _value(text: str) -> Item:
    try:
        return tomlkit.value(text)
    except TOMLKitError:
        return tomlkit.item(text)
