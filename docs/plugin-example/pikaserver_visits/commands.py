"""The command ``visits``."""

import click

from pikaserver.api.commands import console
from pikaserver_visits import storage


@click.group()
def visits() -> None:
    """Look at who came by."""


@visits.command("list")
def list_visits() -> None:
    """List the callers."""
    with console().server() as server, server.database.reading() as connection:
        console().write([dict(row) for row in storage.callers(connection)])


@visits.command()
@click.argument("name")
def forget(name: str) -> None:
    """Begin anew with a caller; the audit trail knows who did it."""
    with console().server() as server, server.database.transaction() as connection:
        storage.forget(connection, name)
        server.audit.record(connection, "visits.forgotten", console().actor, caller=name)
