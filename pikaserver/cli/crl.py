"""``pikaserver crl``: the lists of revoked certificates."""

from pathlib import Path

import click

from pikaserver.cli.files import write_output
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import out_option

_generation = click.option(
    "--generation",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of an older key.  [default: the current one]",
)


@click.group()
def crl() -> None:
    """Sign and show CRLs: the lists of revoked certificates.

    A running server signs them by itself, on their day and after every revocation.
    """


@crl.command("list")
@command_options
def list_crls(invocation: Invocation) -> None:
    """List the newest CRL of every key."""
    from pikaserver.cli.crl_records import crl_row
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        now = server.clock()
        invocation.write([crl_row(summary, now) for summary in server.crls.summaries()])


@crl.command()
@click.argument("authority", required=False)
@command_options
def issue(invocation: Invocation, authority: str | None) -> None:
    """Sign a fresh CRL of an authority, or all that are due."""
    from pikaserver.cli.crl_records import crl_pem, crl_row
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        now = server.clock()
        issued = server.crls.issue(authority) if authority else server.crls.issue_due()
    if not issued:
        click.echo("no CRL is due", err=True)
    invocation.write([crl_row(one, now) for one in issued], pem=[crl_pem(one) for one in issued])


@crl.command()
@click.argument("authority")
@_generation
@command_options
def show(invocation: Invocation, authority: str, generation: int | None) -> None:
    """Show the newest CRL of an authority and what it lists."""
    from pikaserver.cli.crl_records import crl_details, crl_entries, crl_pem
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        record = server.crls.latest(authority, generation)
        now = server.clock()
    details, entries = crl_details(record, now), crl_entries(record)
    if invocation.output != "table":
        invocation.write({**details, "revoked": entries}, pem=[crl_pem(record)])
        return
    invocation.write(details)
    if entries:
        click.echo()
        invocation.write(entries)


@crl.command()
@click.argument("authority")
@_generation
@click.option(
    "--format",
    "form",
    type=click.Choice(("pem", "der")),
    default="pem",
    show_default=True,
    help="Text, or octets.",
)
@out_option
@place_options
def export(
    invocation: Invocation, authority: str, generation: int | None, form: str, out: Path | None
) -> None:
    """Write the newest CRL of an authority to a file."""
    from pikaserver.cli.crl_records import crl_pem
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        record = server.crls.latest(authority, generation)
    write_output(crl_pem(record).encode() if form == "pem" else record.crl, out)
