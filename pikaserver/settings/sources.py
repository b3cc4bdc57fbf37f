"""Where settings are written, and the rule by which one place overrides another.

From the weakest to the strongest: the file, ``conf.d/*.toml`` beside it in the order of their
names, systemd credentials, the environment, flags.  Tables are merged, all else is replaced.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pikaserver.api.errors import ConfigurationError

PREFIX = "PIKASERVER__"
"""``PIKASERVER__LISTENERS__PUBLIC__BIND`` is ``listeners.public.bind``."""

Key = tuple[str, ...]
Table = dict[str, object]

DATA_DIRECTORY: Key = ("data", "directory")
_LIMIT_DEPTH = 32


class Kind(StrEnum):
    """The kinds of places."""

    DEFAULT = "default"
    FILE = "file"
    CREDENTIAL = "credential"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """The place that a value came from; ``name`` is the file, variable, credential or flag."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        return self.kind.value if self.kind is Kind.DEFAULT else f"{self.kind.value} {self.name}"


DEFAULT = Origin(Kind.DEFAULT)


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says."""

    table: Mapping[str, object]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Sources:
    """All that was written, merged; ``origins`` knows the place of every table and value."""

    document: Mapping[str, object]
    origins: Mapping[Key, Origin]

    def get(self, key: Key) -> object:
        """Return what was written under a key, or ``None``."""
        found: object = self.document
        for part in key:
            if not isinstance(found, Mapping):
                return None
            found = found.get(part)
        return found

    def origin(self, key: Key) -> Origin:
        """Return the place of a value, or of the nearest table above it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.origins:
                return self.origins[key[:length]]
        return DEFAULT


def merge(layers: Iterable[Layer]) -> Sources:
    """Put layers over each other, the weakest first.

    Raises:
        ConfigurationError: tables stand in tables beyond all measure.
    """
    document: Table = {}
    origins: dict[Key, Origin] = {}
    for layer in layers:
        _lay(layer.table, document, (), layer.origin, origins)
    return Sources(document, origins)


def nested(key: Key, value: object) -> Table:
    """Return the table that holds one value under a key."""
    *above, last = key
    table: Table = {last: value}
    for part in reversed(above):
        table = {part: table}
    return table


def _lay(
    table: Mapping[str, object], into: Table, at: Key, origin: Origin, origins: dict[Key, Origin]
) -> None:
    if len(at) > _LIMIT_DEPTH:
        raise ConfigurationError(f"{origin}: more than {_LIMIT_DEPTH} tables in each other")
    for name, value in table.items():
        key = (*at, name)
        origins[key] = origin
        if isinstance(value, dict):
            below = into.get(name)
            merged: Table = below if isinstance(below, dict) else {}
            _lay(value, merged, key, origin, origins)
            into[name] = merged
        else:
            into[name] = value


def read_file(path: Path) -> Table:
    """Read one TOML file.

    Raises:
        ConfigurationError: it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is a ValueError
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


def read_files(path: Path, *, required: bool = True) -> list[Layer]:
    """Read a file and what ``conf.d`` beside it adds, in the order in which they count.

    Args:
        path: of the file.
        required: whether it has to be there.

    Raises:
        ConfigurationError: one of them cannot be read or is not TOML.
    """
    parts = sorted((path.parent / "conf.d").glob("*.toml"))
    files = [path, *parts] if required or path.exists() else parts
    return [
        Layer(_anchored(read_file(file), path.parent), Origin(Kind.FILE, str(file)))
        for file in files
    ]


def _anchored(table: Table, folder: Path) -> Table:
    """Let a relative data folder start where the file is, wherever the command runs."""
    data = table.get("data")
    if isinstance(data, dict) and isinstance(data.get("directory"), str):
        data["directory"] = str(folder / data["directory"])
    return table


def read_variable(text: str) -> object:
    """Read a value out of a variable or credential: TOML for lists and tables, else a string."""
    if text.startswith(("[", "{", '"')):
        try:
            document = tomllib.loads(f"value = {text}")
        except (ValueError, RecursionError):
            return text
        if len(document) == 1:
            return document["value"]
    return text


def key_of(variable: str) -> Key:
    """Return the setting that a variable or credential names."""
    parts = variable[len(PREFIX) :].lower().split("__")
    return tuple(part.replace("_", "-") for part in parts)


def variable_of(key: Key) -> str:
    """Return the variable that names a setting."""
    return PREFIX + "__".join(key).replace("-", "_").upper()


def read_credentials(environment: Mapping[str, str]) -> list[Layer]:
    """Read those systemd credentials that are named like our variables.

    A container gets the same by ``CREDENTIALS_DIRECTORY=/run/secrets``.

    Raises:
        ConfigurationError: one cannot be read.
    """
    directory = environment.get("CREDENTIALS_DIRECTORY")
    paths = sorted(Path(directory).glob("*")) if directory else []
    layers = []
    for path in paths:
        if path.name.upper().startswith(PREFIX):
            try:
                text = path.read_text(encoding="utf-8").rstrip("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"cannot read the credential {path}: {error}") from error
            table = nested(key_of(path.name), read_variable(text))
            layers.append(Layer(table, Origin(Kind.CREDENTIAL, path.name)))
    return layers


def read_environment(environment: Mapping[str, str]) -> list[Layer]:
    """Read our variables, sorted so that messages do not depend on their order."""
    return [
        Layer(nested(key_of(name), read_variable(text)), Origin(Kind.ENVIRONMENT, name))
        for name, text in sorted(environment.items())
        if name.startswith(PREFIX)
    ]
