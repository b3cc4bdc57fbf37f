"""The options that every command takes, and what a command makes of them."""

import functools
import os
import pwd
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from pikaserver.cli.output import FORMATS, Record, write
from pikaserver.cli.place import with_place
from pikaserver.settings.loading import Flag, Settings, load, read_sources
from pikaserver.settings.sources import Sources

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the common options of one command said."""

    data: Path | None = None
    config: Path | None = None
    output: str = "table"

    @property
    def actor(self) -> str:
        """Who acts, as the audit trail calls it: ``cli:`` and the user of this process."""
        try:
            return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
        except KeyError:  # a container may run under a number that has no name
            return f"cli:{os.getuid()}"

    def settings(self, flags: Collection[Flag] = ()) -> Settings:
        """Read the host's settings, with further flags of the command on top.

        Raises:
            ConfigurationError: a file cannot be read or holds something wrong.
        """
        return load(os.environ, config=self.config, data=self.data, flags=flags)

    def sources(self) -> Sources:
        """Read what was written, without checking it.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        return read_sources(os.environ, config=self.config, data=self.data)

    def write(self, result: Record | Sequence[Record], *, pem: Sequence[str] = ()) -> None:
        """Write records in the format that was asked for; see ``pikaserver.cli.output.write``."""
        write(result, self.output, pem=pem)


def command_options(function: Callable[..., R]) -> Callable[..., R]:
    """Let a command take the common options; it gets an `Invocation` as its first argument.

    Stands directly above the function, below ``@group.command()`` and the command's own options.
    """
    output = click.option(
        "-o", "--output", type=click.Choice(FORMATS), default="table", help="How to write it."
    )

    @output
    @with_place
    @functools.wraps(function)
    def with_invocation(*, data: Path | None, config: Path | None, output: str, **own: object) -> R:
        return function(Invocation(data, config, output), **own)

    return with_invocation


def place_options(function: Callable[..., R]) -> Callable[..., R]:
    """Let a command take the common options but ``--output``: it writes a file, not records."""

    @with_place
    @functools.wraps(function)
    def with_invocation(*, data: Path | None, config: Path | None, **own: object) -> R:
        return function(Invocation(data, config), **own)

    return with_invocation
