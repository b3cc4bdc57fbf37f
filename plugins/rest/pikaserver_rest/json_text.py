"""JSON from strangers: one object in UTF-8, no key twice, no text that cannot be stored."""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from pikaserver.api.errors import MalformedRequest

DEEPEST = 16
"""Levels of objects and lists; what is asked here has one."""

JsonObject = dict[str, object]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SHOWN_CHARACTERS = 100


def read_object(octets: bytes) -> JsonObject:
    """Return the JSON object that these octets are (RFC 8259, and RFC 7493 as to keys and texts).

    Raises:
        MalformedRequest: they are none, or one that programs read in more than one way.
    """
    try:
        found = json.loads(
            octets.decode("utf-8"),
            object_pairs_hook=_without_twins,
            parse_constant=_refuse,
            parse_float=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"the body is not JSON that is taken here: {shown(error)}") from None
    if not isinstance(found, dict):
        raise MalformedRequest("the body is to be a JSON object")
    if _deeper(found, DEEPEST):
        raise MalformedRequest(f"the body has more than {DEEPEST} levels")
    if any(_UNSTORABLE.search(text) for text in _texts(found)):
        raise MalformedRequest("a text has NUL or half a surrogate pair in it")
    return found


def shown(value: object) -> str:
    """Return what a client wrote in characters that do no harm, cut where it is long."""
    return str(value).encode("ascii", "backslashreplace").decode()[:_SHOWN_CHARACTERS]


def _without_twins(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number that is asked for anywhere")


def _deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value)
    return False


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
