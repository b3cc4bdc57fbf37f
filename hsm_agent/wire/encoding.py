"""Strict CBOR (RFC 8949): the canonical form of a small subset, and nothing else.

Maps with text keys, arrays, unsigned integers, byte strings, text, booleans.  No tags, floats,
nulls, negative numbers, indefinite lengths or duplicate keys.  What is read has to be exactly
what `encode` would have written, so each value has one encoding only.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import cbor2

from hsm_agent.wire.errors import WireError

DEEPEST = 8
LONGEST_TEXT = 1024
"""In octets of UTF-8; long texts travel as byte strings."""
_MOST_KEYS = 16
LARGEST = (1 << 63) - 1
"""The largest number: databases and other languages have no larger ones."""

Value: TypeAlias = "bool | int | bytes | str | Sequence[Value] | Mapping[str, Value]"


def encode(value: Value) -> bytes:
    """Return the one encoding of a value: core deterministic, RFC 8949 section 4.2.1."""
    # The library can sort as well, and takes six times as long for it.
    return cbor2.dumps(_ordered(value))


def encode_ordered(value: Value) -> bytes:
    """Do as `encode`, for a value whose maps have their keys `in_order` already."""
    return cbor2.dumps(value)


def decode(octets: bytes) -> Value:
    """Read one value.

    Raises:
        WireError: it is no value of the subset, not in its one form, or something follows it.
    """
    try:
        value: Value = cbor2.loads(
            octets,
            max_depth=DEEPEST,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
        _check(value)
        same = cbor2.dumps(value) == octets
    except WireError:
        raise
    except Exception as error:
        raise WireError("not CBOR of the allowed subset") from error
    if not same:
        raise WireError("not the canonical encoding of its value")
    return value


def in_order(keys: Iterable[str]) -> list[str]:
    """Sort texts as their encodings are sorted, which begin with their lengths."""
    return sorted(sorted(keys), key=_octets)


def _ordered(value: Value) -> Value:
    """Return a value whose maps have their keys in the order of their encodings."""
    if isinstance(value, str | bytes | int):
        return value
    if isinstance(value, dict | Mapping):
        keys = tuple(value)
        order = _known_order if len(keys) <= _MOST_KEYS else in_order
        return {key: _ordered(value[key]) for key in order(keys)}
    return [_ordered(item) for item in value]


@lru_cache(maxsize=512)
def _known_order(keys: tuple[str, ...]) -> list[str]:
    """Return what `in_order` does; the same maps are written again and again."""
    return in_order(keys)


def _octets(key: str) -> int:
    return len(key.encode())


def _check(value: object) -> None:
    """Refuse what the library reads and the protocol does not have: tags, floats, nulls."""
    # Every value of every frame comes here.
    if isinstance(value, str):
        # No character has more than four octets.
        if len(value) > LONGEST_TEXT // 4 and len(value.encode()) > LONGEST_TEXT:
            raise WireError("a text that is too long")
    elif isinstance(value, bytes):
        return
    elif isinstance(value, dict):
        _check_map(value)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    # Big numbers come as tags, and read as numbers all the same.
    elif not (isinstance(value, int) and 0 <= value <= LARGEST):
        raise WireError(f"a {type(value).__name__}, or a number, that the protocol does not have")


def _check_map(value: dict[str, object]) -> None:
    keys = tuple(value)
    # What strangers send must not fill the memory.
    (_known_keys if len(keys) <= _MOST_KEYS else _check_keys)(keys)
    for item in value.values():
        _check(item)


def _check_keys(keys: tuple[str, ...]) -> None:
    """Refuse keys that are no texts, or not in order."""
    for key in keys:
        _check(key)
    if list(keys) != in_order(keys):
        raise WireError("a map that is not in order")


_known_keys = lru_cache(maxsize=512)(_check_keys)
"""Those of messages come again and again."""
