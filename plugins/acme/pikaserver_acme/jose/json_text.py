"""Members of JSON objects, in the words of ACME's problems."""

from pikaserver.api import json_text
from pikaserver.api.errors import MalformedRequest
from pikaserver.api.json_text import JsonObject
from pikaserver_acme.problems import AcmeError


def read_object(octets: bytes, what: str) -> JsonObject:
    """Return the JSON object that these octets are.

    Raises:
        AcmeError: malformed; ``what`` is named.
    """
    try:
        return json_text.read_object(octets, what)
    except MalformedRequest as error:
        raise malformed(str(error)) from None


def text_of(document: JsonObject, name: str) -> str | None:
    """Return a member that is a text; ``None`` where it is not there.

    Raises:
        AcmeError: malformed: it is something else.
    """
    found = document.get(name)
    if found is None or isinstance(found, str):
        return found
    raise malformed(f"{name!r} is to be a string")


def flag_of(document: JsonObject, name: str) -> bool:
    """Return a member that is true or false; one that is not there is false.

    Raises:
        AcmeError: malformed: it is something else.
    """
    found = document.get(name, False)
    if isinstance(found, bool):
        return found
    raise malformed(f"{name!r} is to be true or false")


def texts_of(document: JsonObject, name: str) -> tuple[str, ...] | None:
    """Return a member that is a list of texts; ``None`` where it is not there.

    Raises:
        AcmeError: malformed: it is something else.
    """
    found = document.get(name)
    if found is None:
        return None
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return tuple(found)
    raise malformed(f"{name!r} is to be a list of strings")


def malformed(detail: str) -> AcmeError:
    """Return the error for what cannot be read."""
    return AcmeError("malformed", detail)
