"""``pikaserver crl``: the lists of revoked certificates."""

from dataclasses import dataclass
from pathlib import Path

import click

from pikaserver.cli.files import write_output
from pikaserver.cli.follow.command import follow
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import INPUT_FILE, bundle, out_option


@dataclass(frozen=True, slots=True)
class Which:
    """Which CRL of an authority."""

    generation: int | None
    delta: bool
    shard: int | None

    @property
    def scope(self) -> str:
        """Its scope.

        Raises:
            click.UsageError: it cannot be both.
        """
        from pikaserver.api.crls import DELTA_CRL, FULL_CRL, shard_scope

        if self.delta and self.shard is not None:
            raise click.UsageError("--delta and --shard exclude each other")
        if self.shard is not None:
            return shard_scope(self.shard)
        return DELTA_CRL if self.delta else FULL_CRL


_which = bundle(
    "which",
    Which,
    click.option(
        "--generation",
        type=click.IntRange(min=1),
        metavar="N",
        help="Of an older key.  [default: the current one]",
    ),
    click.option("--delta", is_flag=True, help="The delta instead of the full one."),
    click.option(
        "--shard", type=click.IntRange(min=1), metavar="N", help="One part instead of all."
    ),
)


@click.group()
def crl() -> None:
    """Sign and show CRLs: the lists of revoked certificates.

    A running server signs them by itself, on their day and after every revocation.
    """


crl.add_command(follow)


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
def generate(invocation: Invocation, authority: str | None) -> None:
    """Sign fresh CRLs of an authority, or all that are due."""
    from pikaserver.cli.crl_records import crl_pem, crl_row, told
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        now = server.clock()
        issued = server.crls.issue(authority, told) if authority else server.crls.issue_due(told)
    if not issued:
        click.echo("no CRL is due", err=True)
    rows = [crl_row(one.summary, now) for one in issued]
    invocation.write(rows, pem=[crl_pem(one) for one in issued])


@crl.command()
@click.argument("authority")
@click.argument("file", type=INPUT_FILE)
@click.option("--generation", type=click.IntRange(min=1), metavar="N", help="Of an older key.")
@command_options
def upload(invocation: Invocation, authority: str, file: Path, generation: int | None) -> None:
    """Serve a CRL that an authority signed elsewhere.

    For authorities whose key is offline or on another system.  The signature is verified, and
    a newer one is never replaced by an older one.
    """
    from pikaserver.cli.crl_files import crls_in
    from pikaserver.cli.crl_records import crl_row
    from pikaserver.cli.opened import opened

    (octets,) = crls_in(file)
    with opened(invocation) as server:
        taken = server.foreign_crls.upload(authority, octets, invocation.actor, generation)
        invocation.write(crl_row(taken, server.clock()))


@crl.command()
@click.argument("file", type=INPUT_FILE)
@click.option("--issuer", type=INPUT_FILE, metavar="FILE", help="The issuer's certificate.")
@command_options
def verify(invocation: Invocation, file: Path, issuer: Path | None) -> None:
    """Verify the CRLs of a file, and tell whether they still hold.

    Without --issuer it has to be an authority of this server.  Exit code 6 says that one of
    them has ended.
    """
    from pikaserver.cli import exit_codes
    from pikaserver.cli.ca.plans import certificates_in
    from pikaserver.cli.crl_files import crls_in
    from pikaserver.cli.crl_records import verified_row
    from pikaserver.cli.opened import opened
    from pikaserver.clock import system_clock

    crls = crls_in(file)
    if issuer is not None:
        issuers = certificates_in((issuer,))
    else:
        with opened(invocation) as server:
            issuers = [key.certificate for key in server.authorities.all_keys()]
    rows = [verified_row(octets, issuers, system_clock()) for octets in crls]
    invocation.write(rows)
    if any(row["state"] != "fresh" for row in rows):
        click.get_current_context().exit(exit_codes.UNHEALTHY)


@crl.command()
@click.argument("authority")
@_which
@command_options
def show(invocation: Invocation, authority: str, which: Which) -> None:
    """Show the newest CRL of an authority and what it lists."""
    from pikaserver.cli.crl_records import crl_details, crl_entries, crl_pem
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        record = server.crls.latest(authority, which.generation, which.scope)
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
@_which
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
    invocation: Invocation, authority: str, which: Which, form: str, out: Path | None
) -> None:
    """Write the newest CRL of an authority to a file."""
    from pikaserver.cli.crl_records import crl_pem
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        record = server.crls.latest(authority, which.generation, which.scope)
    write_output(crl_pem(record).encode() if form == "pem" else record.crl, out)
