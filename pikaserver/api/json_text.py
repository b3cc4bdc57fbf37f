"""JSON from strangers: one object in UTF-8, no key twice, nothing deeper than it has to be."""

import json
import math
from typing import NoReturn

from pikaserver.api.errors import MalformedRequest

DEEPEST = 32
"""Levels of objects and lists; what is asked over protocols has a few."""

JsonObject = dict[str, object]

_SHOWN_CHARACTERS = 100


def read_object(octets: bytes, what: str) -> JsonObject:
    """Return the JSON object that these octets are (RFC 8259, with unique keys as RFC 7493 has it).

    Raises:
        MalformedRequest: they are none, or one that programs read in more than one way;
            ``what`` is named.
    """
    try:
        found = json.loads(
            octets.decode("utf-8"),
            object_pairs_hook=_without_twins,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        why = f"{what} is not JSON, or has a key twice: {shown(error)}"
        raise MalformedRequest(why) from None
    if not isinstance(found, dict):
        raise MalformedRequest(f"{what} is to be a JSON object")
    if _deeper(found, DEEPEST):
        raise MalformedRequest(f"{what} has more than {DEEPEST} levels")
    return found


def shown(value: object) -> str:
    """Return what a client wrote in characters that do no harm, cut where it is long."""
    return str(value).encode("ascii", "backslashreplace").decode()[:_SHOWN_CHARACTERS]


def _without_twins(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _finite(word: str) -> float:
    found = float(word)
    return found if math.isfinite(found) else _refuse(word)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value)
    return False
