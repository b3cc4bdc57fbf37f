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
        group, console = _group(arguments)
        answer = group.main(
            list(arguments), prog_name="pikaserver", standalone_mode=False, obj=console
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


def _group(arguments: Sequence[str]) -> tuple[click.Group, object]:
    """Return all nouns; only the one that was typed can do more than be listed.

    A plugin's command is given a console beside it.
    """
    group = click.Group("pikaserver", help="A plugin-based PKI server.", epilog=_EPILOG)
    click.version_option(package_name="pikaserver", message="%(prog)s %(version)s")(group)
    for noun in NOUNS:
        group.add_command(click.Command(noun.name, help=noun.help))
    typed = next((word for word in arguments if not word.startswith("-")), None)
    known = {noun.name: noun for noun in NOUNS}
    console = None
    if typed in known:
        group.add_command(load_noun(known[typed]), typed)
    elif typed is not None:
        from pikaserver.cli.plugin_console import PluginConsole

        console = PluginConsole.peeked(arguments)
        for command in console.commands(also_bundled="--help" in arguments):
            if command.name in known:
                raise ConfigurationError(
                    f"a plugin offers the command {command.name!r} of the host"
                )
            group.add_command(command)
    return group, console
