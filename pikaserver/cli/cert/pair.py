"""``pikaserver cert pair``: which certificates are bound to each other."""

import click

from pikaserver.cli.cert.search import authority_option
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import SERIAL


@click.command()
@click.argument("serial", type=SERIAL)
@authority_option
@command_options
def pair(invocation: Invocation, serial: int, authority: str | None) -> None:
    """Show a certificate with those bound to it (RFC 9763).

    One that is bound to a certificate which was renewed or revoked is to be renewed, too.
    """
    from pikaserver.cli.cert.found import one_certificate
    from pikaserver.cli.cert.pairing import pair_rows
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        rows = pair_rows(server, one_certificate(server, serial, authority))
    invocation.write(rows)
