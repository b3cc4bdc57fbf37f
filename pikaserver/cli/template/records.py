"""How templates look as records, and starters made into templates."""

from collections.abc import Iterator, Mapping

import tomlkit

from pikaserver.api.errors import NotFound
from pikaserver.api.templates import Template
from pikaserver.authority.templates.document import to_tables
from pikaserver.authority.templates.durations import write_duration
from pikaserver.authority.templates.starters import starters
from pikaserver.cli.output import Record


def template_row(template: Template) -> Record:
    """Return the columns of a list."""
    return {
        "name": template.name,
        "version": template.version,
        "state": "enabled" if template.enabled else "disabled",
        "authority": template.authority,
        "doors": sorted(template.doors),
        "approval": template.approval,
        "validity": write_duration(template.validity.period),
        "description": template.description,
    }


def template_details(template: Template, *, flat: bool) -> Record:
    """Return all rules, in the tables of the document or in one line each."""
    tables = to_tables(template)
    head: dict[str, object] = {"name": template.name, "version": template.version}
    return head | (dict(_flat(tables)) if flat else tables)


def document_of_starter(starter: str, authority: str) -> str:
    """Return a starter's document, with its comments, under another authority.

    Raises:
        NotFound: no such starter.
    """
    known = starters()
    if starter not in known:
        raise NotFound(f"there is no starter {starter!r}; there are: {', '.join(known)}")
    document = tomlkit.parse(known[starter])
    before = document["authority"]
    document["authority"] = authority
    clients = document.get("client-authorities")
    if clients is not None and before in clients:
        clients[clients.index(before)] = authority
    return tomlkit.dumps(document)


def _flat(tables: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
