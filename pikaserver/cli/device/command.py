"""``pikaserver device``: who holds certificates, retired and taken back."""

from datetime import timedelta

import click

from pikaserver.api.certificates import RevocationReason
from pikaserver.cli.device.search import DeviceOptions, device_options
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import DURATION, REASON, REASONS, confirm, yes_option

_HOURS = 24


@click.group()
def device() -> None:
    """Find, retire and take back devices.

    A device is known from its first contact on, by its serial number, else by its common name,
    whichever door it came by.  DEVICE is that name, or its number.
    """


@device.command("list")
@click.argument("text", required=False)
@device_options
@command_options
def list_devices(invocation: Invocation, text: str | None, *, search: DeviceOptions) -> None:
    """List devices, newest first.

    With TEXT those whose name, serial number or model has it.
    """
    from pikaserver.cli.device.records import device_row, query
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        found = server.devices.find(query(text, search, server.clock()))
    invocation.write([device_row(one) for one in found])
    if len(found) == search.limit:
        click.echo(f"There may be more: --after {found[-1].id}", err=True)


@device.command()
@click.argument("name", metavar="DEVICE")
@command_options
def show(invocation: Invocation, name: str) -> None:
    """Show a device with its certificates."""
    from pikaserver.cli.device.records import certificates_of, device_row, one_device
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem, certificate_row

    with opened(invocation) as server:
        record = one_device(server, name)
        held = certificates_of(server, record)
    row = device_row(record)
    certificates = [certificate_row(one) for one in held]
    if invocation.output == "table":
        invocation.write(row)
        click.echo()
        invocation.write(certificates)
        return
    pem = certificate_pem(one.certificate for one in held if one.certificate)
    invocation.write({**row, "certificates": certificates}, pem=pem)


@device.command()
@click.argument("name", metavar="DEVICE")
@click.option(
    "--reason",
    type=REASON,
    default="cessation-of-operation",
    show_default=True,
    help=f"Why: {', '.join(REASONS)}.",
)
@yes_option
@command_options
def retire(invocation: Invocation, name: str, *, reason: RevocationReason, yes: bool) -> None:
    """Revoke all certificates of a device, for good.

    It gets nothing more, at no door, until it is taken back by 'reenroll'.
    """
    from pikaserver.cli.device.records import device_row, one_device
    from pikaserver.cli.opened import opened

    if reason is RevocationReason.CERTIFICATE_HOLD:
        raise click.UsageError("retiring is for good; 'pikaserver cert revoke' puts on hold")
    with opened(invocation) as server:
        record = one_device(server, name)
        confirm(f"Retire {record.name} and revoke for good all that it holds?", yes=yes)
        revoked = server.devices.retire(record, invocation.actor, reason)
        row = device_row(server.devices.get(record.id))
    invocation.write({**row, "revoked": len(revoked)})


@device.command()
@click.argument("name", metavar="DEVICE")
@click.option(
    "--template", metavar="NAME", help="For which template.  [default: that of its newest one]"
)
@click.option(
    "--within",
    type=DURATION,
    default=f"{_HOURS}h",
    show_default=True,
    help="By when it shall have renewed what it holds.",
)
@click.option("--lifetime", type=DURATION, default="7d", show_default=True, help="Of the code.")
@command_options
def reenroll(
    invocation: Invocation,
    name: str,
    *,
    template: str | None,
    within: timedelta,
    lifetime: timedelta,
) -> None:
    """Have a device enrol again.

    What it holds is to be renewed at once, which it learns when it asks.  A device that lost its
    key gets a code, shown now, where the template takes codes.  One that was retired is taken back.
    """
    from pikaserver.cli.device.reenrolling import reenrolled
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        row = reenrolled(server, name, invocation.actor, template, within, lifetime)
    invocation.write(row)
