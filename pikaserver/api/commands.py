"""What a plugin's commands stand on: the server's data, opened for one command."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import click

from pikaserver.api.server import Server

Record = Mapping[str, object]
"""One object by the names of its fields, which are lower-case words with underscores."""


class Console(Protocol):
    """The host's half of a command; every command takes ``--data``, ``--config`` and ``-o``."""

    @property
    def actor(self) -> str:
        """Who acts, as the audit trail calls it: ``cli:`` and the user of this process."""
        ...

    @property
    def output(self) -> str:
        """How results are written: ``table``, ``json``, ``yaml`` or ``pem``."""
        ...

    def server(self) -> AbstractContextManager[Server]:
        """Open the server's data; a server that runs on it meanwhile does not mind.

        Raises:
            ConfigurationError: nothing is set up there, or a setting stops the start.
        """
        ...

    def write(self, result: Record | Sequence[Record], *, pem: Sequence[str] = ()) -> None:
        """Write one record, or several with the same fields, as ``-o`` asks."""
        ...


def console() -> Console:
    """Return the console of the command that runs; only a plugin's command has one."""
    found: Console = click.get_current_context().obj
    return found
