"""The JSON body of a request: no text in it that cannot be stored."""

import re
from collections.abc import Iterator

from pikaserver.api import json_text
from pikaserver.api.errors import MalformedRequest
from pikaserver.api.json_text import JsonObject

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read_object(octets: bytes) -> JsonObject:
    """Return the JSON object that a body is.

    Raises:
        MalformedRequest: it is none, one that programs read in more than one way, or one with
            texts that no database takes.
    """
    found = json_text.read_object(octets, "the body")
    if any(_UNSTORABLE.search(text) for text in _texts(found)):
        raise MalformedRequest("a text has NUL or half a surrogate pair in it")
    return found


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
