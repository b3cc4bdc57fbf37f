"""Tables of the policy file become frozen rules; whatever is not a rule is refused."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, TypeVar

from hsm_agent.policy.faults import PolicyFault, WrongValue, did_you_mean, fault

T = TypeVar("T")

_READ = "read"
_PART = "part"
_TABLE = "table"


def rule(read: Callable[[object], T], default: T) -> T:
    """Declare a key of a table: how its value is read, and what counts without it.

    The key is the field's name with hyphens; ``read`` raises `WrongValue`.
    """
    return field(default=default, metadata={_READ: read})


def part(default: T) -> T:
    """Declare a group of rules whose keys stand in the same table."""
    return field(default=default, metadata={_PART: True})


def table(default: T) -> T:
    """Declare a group of rules with a table of its own below this one."""
    return field(default=default, metadata={_TABLE: True})


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file a table stands."""

    text: str
    path: tuple[str, ...] = ()

    def below(self, key: str) -> "Place":
        """Return the place of a table inside this one."""
        return Place(self.text, (*self.path, key))

    def fault(self, key: str, what: str) -> PolicyFault:
        """Return what is wrong with a key of this table."""
        return fault(self.text, self.path, key, what)


def read_table(found: object, default: T, place: Place) -> T:
    """Return the rules of a table; what it does not say is as in ``default``.

    Raises:
        PolicyFault: a key is unknown, or its value is wrong.
    """
    entries = _as_table(found, place)
    known = keys(default)
    for key in entries:
        if key not in known:
            raise place.fault(key, f"is not a rule here{did_you_mean(key, known)}")
    return _filled(entries, default, place)


def keys(rules: object) -> tuple[str, ...]:
    """Return the keys of a table, those of its tables included, in their order."""
    return tuple(key for key, _ in _rules(rules))


def described(rules: object) -> Mapping[str, object]:
    """Return the keys of a table that are no tables, with their values."""
    return {key: value for key, (kind, value) in _rules(rules) if kind == _READ}


def _as_table(found: object, place: Place) -> dict[str, object]:
    if isinstance(found, dict):
        return found
    raise Place(place.text, place.path[:-1]).fault(place.path[-1], "has to be a table")


def _rules(rules: object) -> Iterator[tuple[str, tuple[str, object]]]:
    for one in _fields(rules):
        value = getattr(rules, one.name)
        if _PART in one.metadata:
            yield from _rules(value)
        elif one.metadata:
            yield _key(one), (_READ if _READ in one.metadata else _TABLE, value)


def _filled(entries: Mapping[str, object], default: T, place: Place) -> T:
    found: dict[str, object] = {}
    for one in _fields(default):
        before = getattr(default, one.name)
        key = _key(one)
        if _PART in one.metadata:
            found[one.name] = _filled(entries, before, place)
        elif _TABLE in one.metadata and key in entries:
            found[one.name] = read_table(entries[key], before, place.below(key))
        elif _READ in one.metadata and key in entries:
            try:
                found[one.name] = one.metadata[_READ](entries[key])
            except WrongValue as wrong:
                raise place.fault(key, str(wrong)) from None
    return replace(default, **found)  # type: ignore[type-var]  # mypy cannot say "a dataclass"


def _fields(rules: Any) -> tuple[Field[Any], ...]:  # noqa: ANN401 - any of our dataclasses
    return fields(rules)


def _key(one: Field[Any]) -> str:
    return one.name.replace("_", "-")
