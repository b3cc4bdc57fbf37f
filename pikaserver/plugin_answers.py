"""Check what hooks return: the promised type, and names that nobody else has taken."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.storage import Migrations

Item = TypeVar("Item")


def check_items(plugin: str, hook: str, answer: object, kind: type[object]) -> list[object]:
    """Return the items of a hook's answer, each of them checked.

    Raises:
        ConfigurationError: the answer is not an iterable of that kind.
    """
    if isinstance(answer, str | bytes | Mapping) or not isinstance(answer, Iterable):
        raise wrong_type(plugin, hook, answer, f"an iterable of {kind.__name__}")
    items = list(answer)
    for item in items:
        if not _fits(item, kind):
            raise wrong_type(plugin, hook, item, f"an iterable of {kind.__name__}")
    return items


def wrong_type(plugin: str, hook: str, found: object, expected: str) -> ConfigurationError:
    """Say that a hook returned something else than it promised."""
    what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
    return ConfigurationError(
        f"the plugin {plugin!r} returned {what} from {hook}; it should return {expected}"
    )


def unique(
    offers: list[tuple[str, Item]], name: Callable[[Item], str], what: str
) -> list[tuple[str, Item]]:
    """Return the offers when no two of them have the same name.

    Raises:
        ConfigurationError: two have.
    """
    owners: dict[str, str] = {}
    for plugin, item in offers:
        key = name(item)
        if key in owners:
            who = (
                f"the plugin {plugin!r} offers"
                if owners[key] == plugin
                else f"the plugins {owners[key]!r} and {plugin!r} offer"
            )
            raise ConfigurationError(f"{who} the {what} {key!r} twice")
        owners[key] = plugin
    return offers


def check_migrations(plugin: str, migrations: Migrations) -> None:
    """Refuse a branch or tables that are not named after their plugin.

    Raises:
        ConfigurationError: they are not.
    """
    if migrations.branch != plugin:
        raise ConfigurationError(
            f"the plugin {plugin!r} names its database branch {migrations.branch!r};"
            " the branch is called like the plugin"
        )
    prefix = plugin.replace("-", "_") + "_"
    for table in migrations.metadata.tables:
        if not table.startswith(prefix):
            raise ConfigurationError(
                f"the plugin {plugin!r} has a table {table!r}; its name should begin"
                f" with {prefix!r}"
            )


def _fits(item: object, kind: type[object]) -> bool:
    """Tell whether an object is of a class, or has all that a Protocol asks for.

    A class given in place of its object has the same names, so classes never fit.
    """
    if not getattr(kind, "_is_protocol", False):
        return isinstance(item, kind)
    if inspect.isclass(item):
        return False
    wanted = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
    return all(
        hasattr(item, name) and (isinstance(value, property) or callable(getattr(item, name)))
        for name, value in wanted.items()
    )
