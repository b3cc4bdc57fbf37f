"""What an operator says of the certificates of services: ``ocsp.key-type=ec-p384``."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import ValidationError

from pikaserver.api.errors import ConfigurationError, RequestRejected
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import HASHES, KEY_TYPES
from pikaserver.authority.authorities import ServiceSettings
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.authority.templates.durations import read_duration, write_duration

_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_LISTS: Mapping[str, Mapping[str, object]] = {
    "hash": HASHES,
    "key-type": KEY_TYPES,
    "pss": _FLAGS,
}
_KEYS = ("hash", "key", "key-type", "pss", "subject", "template", "validity")


def with_changes(
    before: Mapping[str, ServiceSettings], changes: Sequence[str]
) -> dict[str, ServiceSettings]:
    """Return settings with some changed; an empty value goes back to what the template says.

    Raises:
        RequestRejected: a change is none, or its value cannot be.
    """
    after = dict(before)
    for change in changes:
        path, equals, value = change.partition("=")
        service, dot, key = path.rpartition(".")
        if not (equals and dot and service) or key not in _KEYS:
            raise RequestRejected(
                f"{change!r} is not like 'ocsp.key-type=ec-p384'; keys are {', '.join(_KEYS)}"
            )
        present = after.get(service, ServiceSettings()).model_dump()
        name, checked = _value(key, value)
        try:
            after[service] = ServiceSettings(**present | {name: checked})
        except ValidationError as error:
            raise RequestRejected(f"{path}: {error.errors()[0]['msg']}") from None
    return {name: one for name, one in after.items() if one != ServiceSettings()}


def in_words(services: Mapping[str, ServiceSettings]) -> list[str]:
    """Return what is set, each as it would be typed."""
    return [
        f"{name}.{_typed(key, value)}"
        for name, service in services.items()
        for key, value in service.model_dump(exclude_defaults=True).items()
    ]


def _typed(key: str, value: object) -> str:
    match key:
        case "validity_seconds":
            return f"validity={write_duration(timedelta(seconds=int(str(value))))}"
        case "pss":
            return "pss=yes"
    return f"{key.replace('_', '-')}={value}"


def _value(key: str, value: str) -> tuple[str, object]:
    """Return the setting's own name and its value, checked."""
    name = {"validity": "validity_seconds"}.get(key, key.replace("-", "_"))
    if not value:
        return name, ServiceSettings.model_fields[name].default
    one_of = _LISTS.get(key)
    if one_of is not None and value not in one_of:
        raise RequestRejected(f"{value!r} is no {key}; there are: {', '.join(one_of)}")
    match key:
        case "validity":
            return name, int(read_duration(value).total_seconds())
        case "pss":
            return name, _FLAGS[value]
        case "subject":
            read_subject(value)
        case "key":
            _check_reference(value)
    return name, value


def _check_reference(value: str) -> None:
    try:
        KeyReference.parse(value)
    except ConfigurationError as error:
        raise RequestRejected(str(error)) from None
