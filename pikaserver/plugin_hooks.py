"""Check a plugin's hooks against the specifications, with a suggestion where one is misspelt."""

import inspect
from collections.abc import Callable

from pikaserver import hookspecs
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.hooks import PROJECT
from pikaserver.plugin_discovery import did_you_mean

# pluggy's markers leave these attributes on a function: the project's name and a suffix.
_SPECIFICATION = f"{PROJECT}_spec"
_IMPLEMENTATION = f"{PROJECT}_impl"


def specifications() -> dict[str, tuple[str, ...]]:
    """Return every hook with its arguments, in the order of ``pikaserver.hookspecs``."""
    return {
        name: tuple(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if hasattr(function, _SPECIFICATION)
    }


def implementations(plugin: object) -> list[str]:
    """Return the names of what a plugin marked as hooks."""
    return [name for name, _ in _marked(plugin)]


def check_hooks(name: str, plugin: object) -> None:
    """Refuse hooks that would never be called, or that could not be.

    Raises:
        ConfigurationError: a hook is misspelt, lacks its mark, or asks for what is not there.
    """
    known = specifications()
    _check_marks(name, plugin, known)
    for hook, function in _marked(plugin):
        if hook not in known:
            raise ConfigurationError(
                f"the plugin {name!r} has a hook {hook!r}, which does not exist"
                f"{did_you_mean(hook, known)}"
            )
        for argument in inspect.signature(function).parameters:
            if argument not in known[hook]:
                offered = ", ".join(known[hook]) or "nothing"
                raise ConfigurationError(
                    f"the plugin {name!r} has a hook {hook} with the argument {argument!r};"
                    f" it may take: {offered}"
                )
        if any(getattr(function, _IMPLEMENTATION)[option] for option in _OPTIONS):
            raise ConfigurationError(
                f"the plugin {name!r} marks {hook} with options; the order is that of"
                " plugins.enabled, and nothing wraps a hook"
            )


_OPTIONS = ("wrapper", "hookwrapper", "tryfirst", "trylast", "specname")


def _check_marks(name: str, plugin: object, known: dict[str, tuple[str, ...]]) -> None:
    """Refuse a hook that lacks its mark: pluggy would pass it over in silence."""
    for hook in known:
        function = getattr(plugin, hook, None)
        unmarked = callable(function) and not hasattr(function, _IMPLEMENTATION)
        if hook.startswith("register_") and unmarked:
            raise ConfigurationError(f"the plugin {name!r} has a {hook} without @hookimpl")


def _marked(plugin: object) -> list[tuple[str, Callable[..., object]]]:
    found = ((name, getattr(plugin, name, None)) for name in dir(plugin))
    return [
        (name, value)
        for name, value in found
        if callable(value) and hasattr(value, _IMPLEMENTATION)
    ]
