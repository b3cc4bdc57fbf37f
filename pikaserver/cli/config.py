"""``pikaserver config``: the settings as they count, where they came from, and their faults."""

import click

from pikaserver.api.errors import ConfigurationError
from pikaserver.cli.exit_codes import CONFIGURATION
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.settings.checking import SettingsRefused
from pikaserver.settings.loading import check_host, check_plugins
from pikaserver.settings.origin import effective_values
from pikaserver.settings.sources import Sources


@click.group()
def config() -> None:
    """Show and check the host's settings."""


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value came from.")
@command_options
def show(invocation: Invocation, *, origin: bool) -> None:
    """Print every effective setting; secrets are masked."""
    from pikaserver import plugin_manager

    settings = invocation.settings()
    models = plugin_manager.load(settings.host.plugins.enabled).settings_models()
    sections = settings.of_plugins(models, _installed_names())
    values = effective_values(settings.host, settings.sources)
    for name, section in sections.items():
        values += effective_values(section, settings.sources, ("plugins", name))
    rows = [{"setting": ".".join(value.key), "value": value.value} for value in values]
    if origin:
        rows = [
            {**row, "origin": str(value.origin)} for row, value in zip(rows, values, strict=True)
        ]
    invocation.write(rows)


@config.command("check")
@command_options
def check(invocation: Invocation) -> None:
    """Check all settings and list everything that is wrong."""
    problems = _problems(invocation)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        click.get_current_context().exit(CONFIGURATION)
    click.echo("The settings are good.")


def _problems(invocation: Invocation) -> list[str]:
    """Return a sentence for everything that would stop the start."""
    from pikaserver import plugin_manager

    problems: list[str] = []
    try:
        sources = invocation.sources()
    except ConfigurationError as error:
        return [str(error)]
    try:
        check_host(sources)
    except SettingsRefused as refused:
        problems.extend(refused.problems)
    try:
        models = plugin_manager.load(_enabled(sources)).settings_models()
        check_plugins(sources, models, _installed_names())
    except SettingsRefused as refused:
        problems.extend(refused.problems)
    except ConfigurationError as error:
        problems.append(str(error))
    return problems


def _enabled(sources: Sources) -> list[str]:
    """Return which plugins are enabled, even if other settings are wrong."""
    written = sources.get(("plugins", "enabled"))
    return list(dict.fromkeys(map(str, written))) if isinstance(written, list) else []


def _installed_names() -> list[str]:
    from pikaserver.plugin_discovery import installed

    return [plugin.name for plugin in installed()]
