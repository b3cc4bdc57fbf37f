"""Written tables become checked models; every fault is one sentence in the writer's spelling."""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pikaserver.api.errors import ConfigurationError
from pikaserver.secrecy import is_secret
from pikaserver.settings.sources import Key, Kind, Sources, variable_of

Model = TypeVar("Model", bound=BaseModel)


class SettingsRefused(ConfigurationError):
    """Some settings are wrong; ``problems`` holds one sentence for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        others = len(self.problems) - 1
        more = f" ('pikaserver config check' lists {others} more)" if others else ""
        super().__init__(self.problems[0] + more)


def check(sources: Sources, model: type[Model], at: Key = ()) -> Model:
    """Return the checked model of the table that stands at a key.

    A model's field ``base_url`` is written ``base-url``; names of an operator's own choice,
    like those of listeners, are left alone.

    Raises:
        SettingsRefused: unknown keys, missing ones, or wrong values.
    """
    table = sources.get(at) or {}
    if not isinstance(table, dict):
        raise SettingsRefused([sentence(sources, at, "should be a table")])
    unknown: list[str] = []
    readable = _respell(table, [model], at, _Complaints(sources, unknown))
    try:
        checked = model.model_validate(readable)
    except ValidationError as error:
        wrong = [_explain(sources, at, details, model) for details in error.errors()]
        raise SettingsRefused(unknown + wrong) from error
    if unknown:
        raise SettingsRefused(unknown)
    return checked


def sentence(sources: Sources, key: Key, complaint: str) -> str:
    """Say what is wrong with a setting, and in which file or variable."""
    origin = sources.origin(key)
    match origin.kind:
        case Kind.FILE:
            return f"{origin.name}: {'.'.join(key)} {complaint}"
        case Kind.DEFAULT:
            return f"{'.'.join(key)} {complaint}"
        case Kind.ENVIRONMENT:
            return f"{variable_of(key)} {complaint}"
        case _:
            return f"{origin}: {'.'.join(key)} {complaint}"


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that somebody most likely meant."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return close[0] if close else None


def unknown_setting(sources: Sources, key: Key, known: Iterable[str]) -> str:
    """Say that a key is not a setting, and which one may have been meant."""
    meant = suggestion(key[-1], known)
    if meant is None:
        return sentence(sources, key, "is not a setting")
    if sources.origin(key).kind is Kind.ENVIRONMENT:
        meant = variable_of((*key[:-1], meant))
    return sentence(sources, key, f"is not a setting; did you mean {meant!r}?")


def written_name(name: str, field: FieldInfo) -> str:
    """Return how a model's field is written in TOML."""
    return field.alias or name.replace("_", "-")


class _Complaints:
    """Collects unknown keys while tables are walked."""

    def __init__(self, sources: Sources, found: list[str]) -> None:
        self._sources = sources
        self._found = found

    def unknown(self, key: Key, known: Iterable[str]) -> None:
        self._found.append(unknown_setting(self._sources, key, known))


def _respell(
    table: Mapping[str, object], models: list[type[BaseModel]], at: Key, complaints: _Complaints
) -> dict[str, object]:
    """Turn written names into those of the model's fields, all the way down."""
    fields = {
        written_name(name, field): (field.alias or name, field)
        for model in models
        for name, field in model.model_fields.items()
    }
    respelt: dict[str, object] = {}
    for written, value in table.items():
        key = (*at, written)
        if written in fields:
            name, field = fields[written]
            respelt[name] = _respell_value(value, field.annotation, key, complaints)
        elif any(model.model_config.get("extra") == "allow" for model in models):
            respelt[written] = value
        else:
            complaints.unknown(key, fields)
    return respelt


def _respell_value(value: object, annotation: object, key: Key, complaints: _Complaints) -> object:
    branches = list(_branches(annotation))
    if isinstance(value, dict):
        if models := [b for b in branches if isinstance(b, type) and issubclass(b, BaseModel)]:
            return _respell(value, models, key, complaints)
        for inner in _arguments(branches, dict, position=1):
            return {
                name: _respell_value(item, inner, (*key, name), complaints)
                for name, item in value.items()
            }
    if isinstance(value, list):
        for inner in _arguments(branches, list, tuple, frozenset, set, position=0):
            return [_respell_value(item, inner, key, complaints) for item in value]
    return value


def _branches(annotation: object) -> Iterator[object]:
    """Yield the types that a value may have, without ``Annotated``, ``|`` and ``None``."""
    if get_origin(annotation) is Annotated:
        yield from _branches(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, types.UnionType}:
        for branch in get_args(annotation):
            yield from _branches(branch)
    else:
        yield annotation


def _arguments(branches: list[object], *containers: type, position: int) -> Iterator[object]:
    for branch in branches:
        if get_origin(branch) in containers:
            yield get_args(branch)[position]


def _explain(sources: Sources, at: Key, details: ErrorDetails, model: type[BaseModel]) -> str:
    """Say in our words what pydantic found."""
    location, kinds = _walk(model, details["loc"])
    key = _written_key(sources, at, location)
    if details["type"] in _TAG_FAULTS:
        return _wrong_tag(sources, key, details)
    complaint = _COMPLAINTS.get(details["type"])
    if complaint is not None:
        return sentence(sources, key, complaint)
    complaint = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    complaint = complaint[:1].lower() + complaint[1:]
    found = details["input"]
    plain = details["type"] != "value_error" and _is_plain(found)
    if not plain or is_secret(key[-1]) or not _SECRETS.isdisjoint(kinds):
        return sentence(sources, key, complaint)
    return sentence(sources, key, f"{complaint}, not {found!r}")


def _wrong_tag(sources: Sources, key: Key, details: ErrorDetails) -> str:
    """Say which kinds of table there are; the name of the field that tells them apart is quoted."""
    context = details.get("ctx", {})
    field = str(context["discriminator"]).strip("'")
    if details["type"] == "union_tag_not_found":
        return sentence(sources, (*key, field), "is missing")
    wanted = context["expected_tags"]
    return sentence(sources, (*key, field), f"should be one of {wanted}, not {context['tag']!r}")


def _walk(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[tuple[int | str, ...], list[object]]:
    """Follow pydantic's path; return it without tags, and the types that are declared there.

    Where a field such as ``kind`` chooses among models, its value stands in the path too.
    """
    kinds: list[object] = [model]
    written: list[int | str] = []
    for part in location:
        if tagged := _tagged(kinds, part):
            kinds = tagged
            continue
        written.append(part)
        inner = [argument for kind in kinds for argument in get_args(kind)]
        inner += [field.annotation for kind in kinds for field in _fields(kind, part)]
        kinds = [branch for one in inner for branch in _branches(one)]
    return tuple(written), kinds


def _tagged(kinds: list[object], part: int | str) -> list[object]:
    """Return the models among several that a tag chooses; none where the part is a field."""
    if any(_fields(kind, part) for kind in kinds):
        return []
    return [
        kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for field in kind.model_fields.values()
        if get_origin(field.annotation) is Literal and part in get_args(field.annotation)
    ]


def _fields(kind: object, part: int | str) -> list[FieldInfo]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    return [field for name, field in kind.model_fields.items() if part in {name, field.alias}]


_TAG_FAULTS = frozenset({"union_tag_invalid", "union_tag_not_found"})
_SECRETS = frozenset({SecretStr, SecretBytes})
# A value of the wrong type may be a secret without its quotation marks: it is not shown.
_COMPLAINTS = {
    "missing": "is missing",
    "dict_type": "should be a table",
    "frozen_set_type": "should be a list",
    "list_type": "should be a list",
    "mapping_type": "should be a table",
    "model_type": "should be a table",
    "set_type": "should be a list",
    "string_type": "should be a text in quotation marks",
    "too_short": "has too few items",
    "tuple_type": "should be a list",
}


def _is_plain(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) < 2**63  # Python does not print what is long enough
    return isinstance(value, str | float)


def _written_key(sources: Sources, at: Key, location: tuple[int | str, ...]) -> Key:
    """Turn pydantic's path into ours: names as they were written, without list positions."""
    key = at
    for part in location:
        if isinstance(part, int):
            continue
        spelling = part.replace("_", "-")
        written = part if sources.get((*key, part)) is not None else spelling
        key = (*key, written)
    return key
