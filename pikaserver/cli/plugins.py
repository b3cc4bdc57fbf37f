"""``pikaserver plugins``: what is installed, what is enabled, and what it brings."""

from collections.abc import Sequence

import click

from pikaserver.api.errors import NotFound
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.plugin_discovery import InstalledPlugin, did_you_mean, installed
from pikaserver.settings.checking import written_name


@click.group()
def plugins() -> None:
    """List the plugins, installed and enabled."""


@plugins.command("list")
@command_options
def list_plugins(invocation: Invocation) -> None:
    """List the plugins: enabled ones in their order, then others."""
    enabled = invocation.settings().host.plugins.enabled
    there = {plugin.name: plugin for plugin in installed()}
    names = [*enabled, *(name for name in there if name not in enabled)]
    invocation.write([_row(name, there.get(name), enabled) for name in names])


@plugins.command("info")
@click.argument("name")
@command_options
def info(invocation: Invocation, name: str) -> None:
    """Show one plugin.

    Its hooks and settings are shown only if it is enabled, for that imports it.
    """
    enabled = invocation.settings().host.plugins.enabled
    there = {plugin.name: plugin for plugin in installed()}
    if name not in there:
        raise NotFound(f"no plugin {name!r} is installed{did_you_mean(name, there)}")
    row = {**_row(name, there[name], enabled), "module": there[name].module}
    if name in enabled:
        from pikaserver import plugin_manager

        loaded = plugin_manager.load([name])
        model = loaded.settings_models()[name]
        fields = model.model_fields.items() if model else ()
        row["hooks"] = loaded.hooks(name)
        row["settings"] = [written_name(field_name, field) for field_name, field in fields]
    invocation.write(row)


def _row(name: str, plugin: InstalledPlugin | None, enabled: Sequence[str]) -> dict[str, object]:
    if plugin is None:
        return dict.fromkeys(("name", "state", "version", "distribution", "summary")) | {
            "name": name,
            "state": "missing",
        }
    return {
        "name": name,
        "state": "enabled" if name in enabled else "installed",
        "version": plugin.version,
        "distribution": plugin.distribution,
        "summary": plugin.summary,
    }
