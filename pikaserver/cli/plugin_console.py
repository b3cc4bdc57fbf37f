"""The commands of plugins: they get the common options, and a console instead of a server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import click

from pikaserver.api.commands import Record
from pikaserver.api.server import Server
from pikaserver.cli.invocation import Invocation
from pikaserver.cli.output import FORMATS
from pikaserver.cli.place import place_parameters


@dataclass(slots=True)
class PluginConsole:
    """Implements ``pikaserver.api.commands.Console``."""

    invocation: Invocation

    @classmethod
    def peeked(cls, arguments: Sequence[str]) -> "PluginConsole":
        """Read where the server's data is, before any command is known."""
        peek = click.Command("peek", params=place_parameters())
        peek.ignore_unknown_options = peek.allow_extra_args = True
        with peek.make_context("peek", list(arguments), resilient_parsing=True) as context:
            return cls(Invocation(context.params["data"], context.params["config"]))

    @property
    def actor(self) -> str:
        """See the protocol."""
        return self.invocation.actor

    @property
    def output(self) -> str:
        """See the protocol."""
        return self.invocation.output

    @contextmanager
    def server(self) -> Iterator[Server]:
        """See the protocol."""
        from pikaserver.cli.opened import opened

        with opened(self.invocation) as server:
            yield server.for_plugins

    def write(self, result: Record | Sequence[Record], *, pem: Sequence[str] = ()) -> None:
        """See the protocol."""
        self.invocation.write(result, pem=pem)

    def commands(self, *, also_bundled: bool = False) -> list[click.Command]:
        """Ask the enabled plugins for their commands; each gets the common options.

        With ``also_bundled`` those that ship are asked too: help is there before any server is.
        """
        from pikaserver import plugin_manager

        enabled = list(self.invocation.settings().host.plugins.enabled)
        if also_bundled:
            from pikaserver.first_start import bundled_plugins

            enabled += [name for name in bundled_plugins() if name not in enabled]
        commands = [command for _, command in plugin_manager.load(enabled).commands()]
        for command in commands:
            _add_options(command)
        return commands


def _add_options(command: click.Command) -> None:
    """Let a command take the common options, unless it has one of that name itself."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add_options(inner)
        return
    taken = {name for option in command.params for name in option.opts}
    output = click.Option(
        ("-o", "--output"),
        type=click.Choice(FORMATS),
        default="table",
        help="How to write it.",
        callback=_choose_output,
    )
    for option in (*place_parameters(), output):
        option.expose_value = False
        if taken.isdisjoint(option.opts):
            command.params.append(option)


def _choose_output(context: click.Context, _: click.Parameter, value: str) -> str:
    # A plugin's command is one object for all calls in a process; the console is of this call.
    console = context.find_object(PluginConsole)
    if console is not None:
        console.invocation = replace(console.invocation, output=value)
    return value
