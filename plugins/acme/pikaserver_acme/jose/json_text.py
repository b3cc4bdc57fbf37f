"""JSON from strangers: one object, no key twice, nothing deeper than it has to be."""

import json
from typing import NoReturn

from pikaserver_acme.problems import AcmeError

DEEPEST = 32
"""Levels of objects and lists; ACME needs four."""

JsonObject = dict[str, object]


def read_object(octets: bytes, what: str) -> JsonObject:
    """Return the JSON object that these octets are.

    Raises:
        AcmeError: malformed; ``what`` is named.
    """
    try:
        found = json.loads(
            octets.decode("utf-8"), object_pairs_hook=_without_twins, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what} is not JSON, or has a key twice: {_short(error)}") from None
    if not isinstance(found, dict):
        raise malformed(f"{what} is to be a JSON object")
    if _deeper(found, DEEPEST):
        raise malformed(f"{what} has more than {DEEPEST} levels")
    return found


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


def _without_twins(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value)
    return False


def _short(error: Exception) -> str:
    return str(error).encode("ascii", "backslashreplace").decode()[:100]
