"""Every effective value and the place that it came from, with secrets masked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, SecretBytes, SecretStr

from pikaserver.secrecy import MASK, is_secret, without_secrets
from pikaserver.settings.checking import written_name
from pikaserver.settings.model import ListenerSettings
from pikaserver.settings.sources import DEFAULT, Key, Origin, Sources


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One setting as it counts; ``value`` holds no secret."""

    key: Key
    value: object
    origin: Origin


def effective_values(settings: BaseModel, sources: Sources, at: Key = ()) -> list[EffectiveValue]:
    """List the values of a checked model whose table stands at a key."""
    return [
        EffectiveValue(key, _shown(key, value), sources.origins.get(key, DEFAULT))
        for key, value in _leaves(settings, at)
    ]


def _leaves(value: object, key: Key) -> Iterator[tuple[Key, object]]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            if isinstance(value, ListenerSettings) and name == "limits":
                # What a listener leaves unset is the host's and listed there.
                inner = inner.model_dump(exclude_unset=True)
                inner = {limit.replace("_", "-"): number for limit, number in inner.items()}
            yield from _leaves(inner, (*key, written_name(name, field)))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, (*key, str(name)))
    else:
        yield key, value


def _shown(key: Key, value: object) -> object:
    if isinstance(value, SecretStr | SecretBytes) or (is_secret(key[-1]) and value is not None):
        return MASK
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, tuple | list | set | frozenset):
        items = [_shown(key, item) for item in value]
        return items if isinstance(value, tuple | list) else sorted(items, key=str)
    return without_secrets(str(value))
