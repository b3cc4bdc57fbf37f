"""``pikaserver cert revoke`` and ``unhold``: a certificate's status changes."""

from datetime import datetime

import click

from pikaserver.api.certificates import RevocationReason
from pikaserver.cli.cert.search import authority_option
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import MOMENT, REASON, REASONS, SERIAL, confirm, yes_option


@click.command()
@click.argument("serial", type=SERIAL)
@click.option(
    "--reason",
    type=REASON,
    default="unspecified",
    show_default=True,
    help=f"Why: {', '.join(REASONS)}; or as RFC 5280 spells it: keyCompromise.",
)
@click.option(
    "--invalidity-date",
    type=MOMENT,
    help="Since when the key is suspected to be in wrong hands.",
)
@click.option("--pair", is_flag=True, help="Also those that are bound to it (RFC 9763).")
@authority_option
@yes_option
@command_options
def revoke(  # noqa: PLR0913 - its options
    invocation: Invocation,
    serial: int,
    *,
    reason: RevocationReason,
    invalidity_date: datetime | None,
    pair: bool,
    authority: str | None,
    yes: bool,
) -> None:
    """Revoke a certificate, or put it on hold.

    With --reason certificate-hold it can be released again; all else is for good.  It counts
    at once for a running server; the CRL follows within seconds.
    """
    from pikaserver.api.certificates import Revocation
    from pikaserver.asn1.serials import write_serial
    from pikaserver.cli.cert.found import one_certificate
    from pikaserver.cli.cert.pairing import valid_pairs
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import status_row

    with opened(invocation) as server:
        record = one_certificate(server, serial, authority)
        others = valid_pairs(server, record)
        deed = "Put on hold" if reason is RevocationReason.CERTIFICATE_HOLD else "Revoke for good"
        confirm(f"{deed}: {record.subject or ', '.join(record.names)}?", yes=yes)
        revocation = Revocation(server.clock(), reason, invalidity_date)
        revoked = [
            server.revoke(one, revocation, invocation.actor)
            for one in (record, *(others if pair else ()))
        ]
    rows = [status_row(one) for one in revoked]
    invocation.write(rows if pair else rows[0])
    for other in () if pair else others:
        told = f"{write_serial(other.serial)} is bound to it and still valid"
        click.echo(f"{told}: 'pikaserver cert revoke {write_serial(other.serial)}'.", err=True)


@click.command()
@click.argument("serial", type=SERIAL)
@authority_option
@command_options
def unhold(invocation: Invocation, serial: int, authority: str | None) -> None:
    """Release a certificate from hold: it is valid again."""
    from pikaserver.cli.cert.found import one_certificate
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import status_row

    with opened(invocation) as server:
        record = one_certificate(server, serial, authority)
        released = server.release(record, invocation.actor)
    invocation.write(status_row(released))
