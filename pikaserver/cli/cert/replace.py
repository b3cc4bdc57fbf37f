"""``pikaserver cert replace``, ``keep`` and ``renewal``: when a certificate is to be renewed."""

from datetime import timedelta

import click

from pikaserver.cli.cert.search import SearchOptions, authority_option, search_options
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import DURATION, SERIAL, confirm, yes_option


@click.command()
@search_options
@click.option(
    "--within", type=DURATION, default="24h", show_default=True, help="By when they shall be new."
)
@click.option("--why", required=True, metavar="TEXT", help="The reason; clients may show it.")
@yes_option
@command_options
def replace(
    invocation: Invocation,
    search: SearchOptions,
    *,
    within: timedelta,
    why: str,
    yes: bool,
) -> None:
    """Have valid certificates renewed before their time.

    Those that the options find.  Nothing is revoked: clients that ask when to renew (ACME's ARI,
    EST, SCEP, REST) hear that it is now, and templates let them.
    """
    from pikaserver.cli.cert.replacing import Order, ordered, valid_ones
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        found = valid_ones(server, search)
        confirm(f"Have {len(found)} certificates renewed before their time?", yes=yes)
        rows = ordered(server, found, Order(within, why), invocation.actor)
    invocation.write(rows)


@click.command("keep")
@search_options
@command_options
def keep(invocation: Invocation, search: SearchOptions) -> None:
    """Take orders of 'replace' back.

    For the certificates that the options find.
    """
    from pikaserver.cli.cert.replacing import valid_ones, withdrawn
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        rows = withdrawn(server, valid_ones(server, search), invocation.actor)
    invocation.write(rows)


@click.command()
@click.argument("serial", type=SERIAL)
@authority_option
@command_options
def renewal(invocation: Invocation, serial: int, authority: str | None) -> None:
    """Show when a certificate should be renewed.

    With the name by which clients ask for that.
    """
    from pikaserver.cli.cert.found import one_certificate
    from pikaserver.cli.cert.replacing import renewal_row
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        record = one_certificate(server, serial, authority)
        row = renewal_row(server, record)
    invocation.write(row)
