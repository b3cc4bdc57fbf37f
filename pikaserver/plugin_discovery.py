"""Find installed plugins by their entry points, and import those that are enabled."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from pikaserver import api
from pikaserver.api.errors import ConfigurationError

GROUP = "pikaserver.plugins"
"""The entry-point group; installed is not enabled."""


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """What is known of a plugin without importing it."""

    name: str
    module: str
    distribution: str
    version: str
    summary: str
    entry_point: EntryPoint


def installed() -> list[InstalledPlugin]:
    """Return every plugin that is installed, sorted by name."""
    return sorted(map(_describe, entry_points(group=GROUP)), key=lambda plugin: plugin.name)


def find(name: str, plugins: Iterable[InstalledPlugin]) -> InstalledPlugin:
    """Return the one installed plugin of that name.

    Raises:
        ConfigurationError: there is none, or two distributions bring one.
    """
    found = [plugin for plugin in plugins if plugin.name == name]
    if not found:
        names = sorted({plugin.name for plugin in plugins})
        raise ConfigurationError(
            f"plugins.enabled names {name!r}, which is not installed"
            f"{did_you_mean(name, names)}; installed are: {', '.join(names) or 'none'}"
        )
    if len(found) > 1:
        owners = " and ".join(plugin.distribution for plugin in found)
        raise ConfigurationError(f"the plugin {name!r} is brought by {owners}; remove one of them")
    return found[0]


def import_plugin(plugin: InstalledPlugin) -> object:
    """Import a plugin whose module may say ``REQUIRES = (0, 1)``: the plugin API it is made for.

    Raises:
        ConfigurationError: it cannot be imported, or needs another API.
    """
    try:
        module: object = plugin.entry_point.load()
    except Exception as error:
        raise ConfigurationError(
            f"the plugin {plugin.name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    _check_version(plugin.name, getattr(module, "REQUIRES", None))
    return module


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)``, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _describe(entry_point: EntryPoint) -> InstalledPlugin:
    distribution = entry_point.dist
    metadata = distribution.metadata if distribution else None
    return InstalledPlugin(
        name=entry_point.name,
        module=entry_point.value,
        distribution=distribution.name if distribution else "",
        version=distribution.version if distribution else "",
        summary=(metadata["Summary"] if metadata else "") or "",
        entry_point=entry_point,
    )


def _check_version(name: str, requires: object) -> None:
    """Refuse a plugin made for another first number, or for a later second one, of the API."""
    if requires is None:
        return
    match requires:
        case (int(major), int(minor)):
            if major == api.VERSION[0] and minor <= api.VERSION[1]:
                return
            needed = f"{major}.{minor}"
        case _:
            needed = repr(requires)
    ours = ".".join(map(str, api.VERSION))
    raise ConfigurationError(f"the plugin {name!r} needs the plugin API {needed}; this is {ours}")
