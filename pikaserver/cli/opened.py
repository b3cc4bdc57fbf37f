"""The server's data and its database, open for as long as one command works on them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pikaserver import plugin_manager
from pikaserver.api.storage import Migrations
from pikaserver.cli.invocation import Invocation
from pikaserver.opening import check_set_up, open_server
from pikaserver.server import PkiServer
from pikaserver.storage.database import EmbeddedOrServer, open_database


@contextmanager
def opened(invocation: Invocation) -> Iterator[PkiServer]:
    """Give the server that the command's options name; a running one does not mind.

    Raises:
        ConfigurationError: nothing is set up there, or a setting stops the start.
    """
    with open_server(invocation.settings(), os.environ) as server:
        yield server


@contextmanager
def opened_database(invocation: Invocation) -> Iterator[EmbeddedOrServer]:
    """Give the database alone: no keys are needed for it, and its schema is left as it is.

    Raises:
        ConfigurationError: nothing is set up there.
        StorageUnavailable: the database cannot be reached.
    """
    settings = invocation.settings()
    check_set_up(settings)
    database = open_database(settings.host.database.url)
    try:
        yield database
    finally:
        database.close()


def migrations(invocation: Invocation) -> list[Migrations]:
    """Return the branches of the enabled plugins."""
    plugins = plugin_manager.load(invocation.settings().host.plugins.enabled)
    return [branch for _, branch in plugins.migrations()]
