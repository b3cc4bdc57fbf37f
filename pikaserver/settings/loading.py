"""Find the files, put all sources in order, and check the whole."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from pikaserver.settings.checking import SettingsRefused, check, sentence, unknown_setting
from pikaserver.settings.model import DataSettings, HostSettings
from pikaserver.settings.sources import (
    DATA_DIRECTORY,
    DEFAULT,
    Key,
    Kind,
    Layer,
    Origin,
    Sources,
    merge,
    nested,
    read_credentials,
    read_environment,
    read_files,
)

FILE_NAME = "pikaserver.toml"
SYSTEM_FILE = Path("/etc/pikaserver") / FILE_NAME
DATABASE_NAME = "pikaserver.db"

_DATABASE_URL: Key = ("database", "url")


@dataclass(frozen=True, slots=True)
class Flag:
    """A value from the command line; ``name`` is the flag as it was typed."""

    key: Key
    value: object
    name: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of the host, and where each of them came from."""

    host: HostSettings
    sources: Sources = field(repr=False)

    def of_plugins(
        self, models: Mapping[str, type[BaseModel] | None], installed: Collection[str]
    ) -> dict[str, BaseModel]:
        """Check every ``[plugins.<name>]``; see `check_plugins`."""
        return check_plugins(self.sources, models, installed)


def load(
    environment: Mapping[str, str],
    *,
    config: Path | None = None,
    data: Path | None = None,
    flags: Collection[Flag] = (),
    system_file: Path = SYSTEM_FILE,
) -> Settings:
    """Read all sources and check the host's settings; see `read_sources`.

    Raises:
        ConfigurationError: a file cannot be read.
        SettingsRefused: something in it is wrong.
    """
    sources = read_sources(
        environment, config=config, data=data, flags=flags, system_file=system_file
    )
    return Settings(check_host(sources), sources)


def read_sources(
    environment: Mapping[str, str],
    *,
    config: Path | None = None,
    data: Path | None = None,
    flags: Collection[Flag] = (),
    system_file: Path = SYSTEM_FILE,
) -> Sources:
    """Put everything that was written in order.

    Without ``config`` the file is ``pikaserver.toml`` in the data folder, else the system's; in
    a folder that holds neither yet, ``conf.d`` counts alone.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    stronger = [*read_credentials(environment), *read_environment(environment)]
    if data is not None:
        stronger.append(Layer(nested(DATA_DIRECTORY, str(data)), Origin(Kind.FLAG, "--data")))
    stronger += [
        Layer(nested(flag.key, flag.value), Origin(Kind.FLAG, flag.name)) for flag in flags
    ]
    file = config or _find_file(merge(stronger).get(DATA_DIRECTORY), system_file)
    layers = [*read_files(file, required=file == config), *stronger]
    directory = merge(layers).get(DATA_DIRECTORY) or DataSettings().directory
    database = f"sqlite:///{(Path(str(directory)) / DATABASE_NAME).absolute()}"
    return merge([Layer(nested(_DATABASE_URL, database), DEFAULT), *layers])


def check_host(sources: Sources) -> HostSettings:
    """Check all but the plugins' own sections.

    Raises:
        SettingsRefused: something is wrong.
    """
    plugins = sources.get(("plugins",))
    if not isinstance(plugins, dict):
        return check(sources, HostSettings)
    own = {name: value for name, value in plugins.items() if not isinstance(value, dict)}
    return check(Sources({**sources.document, "plugins": own}, sources.origins), HostSettings)


def check_plugins(
    sources: Sources, models: Mapping[str, type[BaseModel] | None], installed: Collection[str]
) -> dict[str, BaseModel]:
    """Check every ``[plugins.<name>]``, by the models of the enabled plugins.

    The section of a plugin that is installed and not enabled is left alone.

    Raises:
        SettingsRefused: all that is wrong in any of them.
    """
    problems: list[str] = []
    checked: dict[str, BaseModel] = {}
    for name in _sections(sources):
        key = ("plugins", name)
        if name not in models and name not in installed:
            problems.append(unknown_setting(sources, key, {*installed, *models}))
        elif name in models and models[name] is None:
            problems.append(sentence(sources, key, "is there, but it has no settings"))
    for name, model in models.items():
        try:
            if model is not None:
                checked[name] = check(sources, model, ("plugins", name))
        except SettingsRefused as refused:
            problems.extend(refused.problems)
    if problems:
        raise SettingsRefused(problems)
    return checked


def _find_file(directory: object, system_file: Path) -> Path:
    """Find the file to read; the system's counts only for the data folder that it names."""
    own = Path(str(directory or DataSettings().directory)) / FILE_NAME
    if own.exists():
        return own
    if system_file.exists():
        named = merge(read_files(system_file)).get(DATA_DIRECTORY)
        if directory is None or str(named) == str(directory):
            return system_file
    return own


def _sections(sources: Sources) -> list[str]:
    plugins = sources.get(("plugins",))
    if not isinstance(plugins, dict):
        return []
    return [name for name, value in plugins.items() if isinstance(value, dict)]
