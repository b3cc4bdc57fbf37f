"""Query parameters: each once, and only those that mean something."""

from collections.abc import Collection, Mapping

import falcon

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.json_text import shown


def read_query(request: falcon.Request, known: Collection[str]) -> Mapping[str, str]:
    """Return the parameters of a request.

    What is unknown is refused: it may mean something in a later version.

    Raises:
        MalformedRequest: one is unknown, stands there twice, or is no printable text.
    """
    found: dict[str, str] = {}
    for name, value in request.params.items():
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise MalformedRequest(f"{shown(name)} is no parameter here; there are: {there}")
        if not isinstance(value, str):
            raise MalformedRequest(f"the parameter {name} stands there twice")
        if not value.isprintable():
            raise MalformedRequest(f"the parameter {name} is not printable")
        found[name] = value
    return found
