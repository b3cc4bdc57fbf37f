"""``pikaserver db``: the database under the server."""

from pathlib import Path

import click

from pikaserver.cli.exit_codes import REFUSED
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import FILE, confirm, yes_option


@click.group()
def db() -> None:
    """Look after the database: its schema, its health, its copies."""


@db.command()
@command_options
def state(invocation: Invocation) -> None:
    """Tell which database it is, and whether it is up to date."""
    from pikaserver.cli.databases import branches, place
    from pikaserver.cli.opened import opened_database

    with opened_database(invocation) as database:
        found = branches(invocation, database)
    if invocation.output != "table":
        invocation.write({**place(invocation), "schema": found})
        return
    invocation.write(place(invocation))
    click.echo()
    invocation.write(found)


@db.command()
@command_options
def upgrade(invocation: Invocation) -> None:
    """Bring the schema up to date; make a backup before."""
    from pikaserver.cli.databases import branches
    from pikaserver.cli.opened import migrations, opened_database
    from pikaserver.storage.migrations.environment import upgrade as bring_up_to_date

    with opened_database(invocation) as database:
        bring_up_to_date(database.engine, migrations(invocation))
        invocation.write(branches(invocation, database))


@db.command()
@command_options
def check(invocation: Invocation) -> None:
    """Look for damage in the file and in the audit trail.

    Ends with 1 where there is any.
    """
    from pikaserver.cli.databases import problems
    from pikaserver.cli.opened import opened_database

    with opened_database(invocation) as database:
        found = problems(database)
    invocation.write({"intact": not found, "problems": found})
    if found:
        click.get_current_context().exit(REFUSED)


@db.command("accept-clock")
@yes_option
@command_options
def accept_clock(invocation: Invocation, *, yes: bool) -> None:
    """Go on after the clock had run ahead and was put right.

    Nothing is signed while the clock says less than it once said.  CRLs that were signed
    meanwhile are withdrawn; certificates of that time are yours to judge: 'cert list'.
    """
    from pikaserver.authority.recovery import accept_clock as accept
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        now = server.clock()
        confirm(f"Is it {now:%Y-%m-%d %H:%M:%S} UTC?", yes=yes)
        withdrawn = accept(server.database, server.audit, now, invocation.actor)
    invocation.write({"clock": now, "crls_withdrawn": withdrawn})


@db.command()
@click.argument("file", type=FILE)
@command_options
def backup(invocation: Invocation, file: Path) -> None:
    """Copy the SQLite database to FILE while the server runs.

    The copy holds the sealed keys, but not what opens them: keep the key-encryption key, too,
    and in another place.
    """
    from pikaserver.cli.databases import copy_database

    octets = copy_database(invocation, file)
    keys = invocation.settings().host.keys.key_encryption_key
    invocation.write({"file": str(file), "octets": octets, "keys_are_opened_by": keys})
