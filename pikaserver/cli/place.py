"""The options that say which server's data a command works on."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

R = TypeVar("R")


def with_place(function: Callable[..., R]) -> Callable[..., R]:
    """Let a command take ``--data`` and ``--config``; also ``--debug``, which no function gets.

    ``pikaserver.cli.main`` reads ``--debug``, because it is the one that shows errors.
    """
    path = click.Path(path_type=Path)
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show where an error arose."
    )
    config = click.option("--config", type=path, metavar="FILE", help="The settings' file.")
    data = click.option("--data", type=path, metavar="DIR", help="The data folder.")
    return data(config(debug(function)))


def place_parameters() -> list[click.Parameter]:
    """Return the same options as objects."""

    def place(**_: object) -> None:
        """Stand for any command."""

    return click.command()(with_place(place)).params
