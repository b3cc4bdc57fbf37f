"""A table of a TOML file, read key by key; what is left over is refused with a suggestion."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from hsm_agent.faults import SettingsFault


class Table:
    """Reads one table and remembers which keys it was asked for."""

    def __init__(self, values: Mapping[str, object], file: str, path: str = "") -> None:
        self._values = values
        self._file = file
        self._path = path
        self._known: list[str] = []

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text that is not empty; without a default it must be there."""
        value = self._value(key, default)
        if not isinstance(value, str) or (not value and default != ""):
            raise self.fault(key, "should be a text in quotation marks")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """Return one of some texts."""
        value = self.text(key, default)
        if value not in choices:
            meant = _meant(value, choices)
            raise self.fault(key, f"is {value!r}, not one of {', '.join(choices)}{meant}")
        return value

    def number(self, key: str, default: int, least: int, most: int) -> int:
        """Return a whole number between two bounds, both included."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.fault(key, f"should be a whole number from {least} to {most}")
        return value

    def seconds(self, key: str, default: float, least: float, most: float) -> float:
        """Return a number of seconds, whole or with a fraction."""
        value = self._value(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.fault(key, "should be a number of seconds")
        if not least <= value <= most:
            raise self.fault(key, f"should be {least} to {most} seconds")
        return float(value)

    def table(self, key: str) -> "Table":
        """Return a table within this one; an empty one where there is none."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            raise self.fault(key, "should be a table")
        return Table(value, self._file, f"{self._path}{key}.")

    def tables(self, key: str, fits: Callable[[str], bool], what: str) -> "dict[str, Table]":
        """Return tables with names of the operator's own choice."""
        within = self.table(key)
        for name in within.keys():
            if not fits(name):
                raise within.fault(name, f"is no name for {what}")
        return {name: within.table(name) for name in within.keys()}

    def keys(self) -> Sequence[str]:
        """Return every key that is written."""
        return list(self._values)

    def options(self, keys: Sequence[str]) -> dict[str, object]:
        """Return those of some keys that are there, as they were written, unchecked."""
        self._known += keys
        return {key: self._values[key] for key in keys if key in self._values}

    def end(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            SettingsFault: a key is no setting.
        """
        for key in self._values:
            if key not in self._known:
                raise self.fault(key, f"is not a setting{_meant(key, self._known)}")

    def fault(self, key: str, complaint: str) -> SettingsFault:
        """Return an error that names file and key as the operator wrote them."""
        return SettingsFault(f"{self._file}: {self._path}{key} {complaint}")

    def _value(self, key: str, default: object) -> object:
        self._known.append(key)
        value = self._values.get(key, default)
        if value is None:
            raise self.fault(key, "is missing")
        return value


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
