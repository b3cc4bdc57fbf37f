"""Messages as maps and back; unknown fields, missing ones and wrong types are refused."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from hsm_agent.wire import messages
from hsm_agent.wire.encoding import Value, encode_ordered, in_order
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Message

Reader = Callable[[object], object]
Writer = Callable[[object], Value]

_TYPES: dict[str, type] = {
    "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)[
        1:
    ]: kind
    for kind in typing.get_args(messages.Message)
}
"""``put-certificate`` and the like: the class's name in lower case with hyphens."""
_NAMES = {kind: name for name, kind in _TYPES.items()}


def to_map(message: Message) -> dict[str, Value]:
    """Return a message as the map that travels, ``t`` naming its type; all maps are in order."""
    # No field has a shorter name than this one.
    return {"t": _NAMES[type(message)], **_fields(message)}


def encoded(message: Message) -> bytes:
    """Return a message as it is encoded within a frame."""
    return encode_ordered(to_map(message))


def from_map(value: object) -> Message:
    """Read a message.

    Raises:
        WireError: no such type, an unknown or missing field, or one of another type.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("t"), str):
        raise WireError("a message without a type")
    kind = _TYPES.get(value["t"])
    if kind is None:
        raise WireError("a message of an unknown type")
    return typing.cast(Message, _read(kind, value, 1))


def _fields(part: Any) -> dict[str, Value]:  # noqa: ANN401 - any of our dataclasses
    return {name: write(getattr(part, name)) for name, write in _writers(part.__class__).items()}


@cache
def _writers(kind: type) -> dict[str, Writer]:
    hints = typing.get_type_hints(kind)
    return {name: _writer(hints[name]) for name in in_order(_names(kind))}


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _writer(hint: object) -> Writer:
    """Return what writes one field; all but dataclasses, tuples and maps travel as they are."""
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is dict:
        return _texts
    if isinstance(hint, types.GenericAlias):
        inner = _writer(hint.__args__[0])
        return lambda value: [inner(item) for item in typing.cast(tuple[object, ...], value)]
    return _fields if dataclasses.is_dataclass(hint) else _as_it_is


def _texts(value: object) -> Value:
    texts = typing.cast(dict[str, str], value)
    return {name: texts[name] for name in in_order(texts)}


def _as_it_is(value: object) -> Value:
    return typing.cast(Value, value)


def _read(kind: type, value: object, others: int = 0) -> object:
    """Read a map that has the fields of a dataclass, and so many others that were read before."""
    if not isinstance(value, Mapping):
        raise WireError(f"a {kind.__name__} that is no map")
    readers = _readers(kind)
    try:
        found = [reader(value[name]) for name, reader in readers]
    except KeyError:
        found = []
    if len(found) != len(readers) or len(value) != len(readers) + others:
        raise WireError(f"a {kind.__name__} with missing or unknown fields")
    return kind(*found)


@cache
def _readers(kind: type) -> list[tuple[str, Reader]]:
    hints = typing.get_type_hints(kind)
    return [(name, _reader(hints[name])) for name in _names(kind)]


def _reader(hint: object) -> Reader:
    """Return what reads one field: a plain type, a dataclass, a tuple of either, texts by name."""
    if isinstance(hint, types.GenericAlias):
        inner = _reader(hint.__args__[0])
        if hint.__origin__ is tuple:
            return lambda value: tuple(inner(item) for item in _exactly(list, value))
        return lambda value: {str(key): inner(item) for key, item in _exactly(dict, value).items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return lambda value: _read(hint, value)
    return partial(_exactly, typing.cast(type, hint))


def _exactly(kind: type[Any], value: object) -> Any:  # noqa: ANN401 - any field
    # A bool is an int to Python, not to the protocol.
    if type(value) is not kind:
        raise WireError(f"a {type(value).__name__} where {kind.__name__} belongs")
    return value
