"""``pikaserver NOUN VERB``: finds the noun's module and turns errors into exit codes.

Only the noun that was typed is imported, so that help is there at once.
"""

import importlib
import sys
import traceback
from collections.abc import Sequence

import click

from pikaserver.api.errors import ConfigurationError, PikaserverError
from pikaserver.cli import exit_codes
from pikaserver.cli.place import place_parameters
from pikaserver.cli.registry import NOUNS, Noun

_EPILOG = (
    "Enabled plugins may add commands. Exit codes: 0 done, 1 refused or failed, 2 usage,"
    " 3 not found, 4 unavailable now, 5 configuration, 6 unhealthy, 7 conflict,"
    " 8 waiting for approval."
)


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an error becomes one line on standard error."""
    try:
        answer = _group(arguments).main(
            list(arguments), prog_name="pikaserver", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("pikaserver: aborted", err=True)
        return exit_codes.REFUSED
    except PikaserverError as error:
        return _fail(error, exit_codes.exit_code(error), arguments)
    except OSError as error:
        return _fail(error, exit_codes.REFUSED, arguments)
    # ctx.exit(6) in a command arrives here as the number.
    return answer if isinstance(answer, int) else exit_codes.DONE


def load_noun(noun: Noun) -> click.Command:
    """Import what a noun names."""
    module, _, attribute = noun.target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{noun.target} is not a command")
    return command


def _fail(error: Exception, code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        traceback.print_exception(error)
    else:
        click.echo(f"pikaserver: {error}", err=True)
    return code


def _group(arguments: Sequence[str]) -> click.Group:
    """Return all nouns; only the one that was typed can do more than be listed."""
    group = click.Group("pikaserver", help="A plugin-based PKI server.", epilog=_EPILOG)
    for noun in NOUNS:
        group.add_command(click.Command(noun.name, help=noun.help))
    typed = next((word for word in arguments if not word.startswith("-")), None)
    known = {noun.name: noun for noun in NOUNS}
    if typed in known:
        group.add_command(load_noun(known[typed]), typed)
    elif typed is not None:
        for command in _plugin_commands(arguments):
            if command.name in known:
                raise ConfigurationError(
                    f"a plugin offers the command {command.name!r} of the host"
                )
            group.add_command(command)
    return group


def _plugin_commands(arguments: Sequence[str]) -> list[click.Command]:
    """Ask the enabled plugins for their commands; each gets the options for its place."""
    from pikaserver import plugin_manager
    from pikaserver.cli.invocation import Invocation

    peek = click.Command("peek", params=place_parameters())
    peek.ignore_unknown_options = peek.allow_extra_args = True
    with peek.make_context("peek", list(arguments), resilient_parsing=True) as context:
        place = Invocation(context.params["data"], context.params["config"])
    enabled = place.settings().host.plugins.enabled
    commands = [command for _, command in plugin_manager.load(enabled).commands()]
    for command in commands:
        _add_place(command)
    return commands


def _add_place(command: click.Command) -> None:
    """Let every command of a plugin take ``--data`` and ``--config``, which were read above."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add_place(inner)
        return
    taken = {name for option in command.params for name in option.opts}
    for option in place_parameters():
        option.expose_value = False
        if taken.isdisjoint(option.opts):
            command.params.append(option)
