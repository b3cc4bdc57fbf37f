"""``pikaserver report``: what quantum computers will break, and a list of all cryptography."""

from datetime import datetime
from pathlib import Path

import click

from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import MOMENT, out_option


@click.group()
def report() -> None:
    """Report what quantum computers will break, and list all keys."""


@report.command()
@click.option(
    "--horizon",
    type=MOMENT,
    default="2035-01-01",
    show_default=True,
    help="After this moment nothing should be in use that a quantum computer breaks.",
)
@click.option("--each", is_flag=True, help="A line for every single key, not for all of a kind.")
@command_options
def quantum(invocation: Invocation, *, horizon: datetime, each: bool) -> None:
    """Show what a quantum computer breaks, and what replaces it.

    Keys of authorities, services such as time-stamp units, certificates, and agents.  EXPOSURE is
    'key' where the key itself would be broken, 'path' where one above would be.
    """
    from pikaserver.authority.readiness.report import exposed
    from pikaserver.authority.readiness.report import report as lines_of
    from pikaserver.cli.opened import opened
    from pikaserver.cli.report.gathering import each_row, gathered, line_row

    with opened(invocation) as server:
        if each:
            rows = [each_row(asset, horizon) for asset in gathered(server).all()]
            invocation.write(rows)
            return
        lines = lines_of(gathered(server).all(), horizon)
    invocation.write([line_row(line) for line in lines])
    if invocation.output == "table":
        click.echo(f"Exposed: {exposed(lines)} of {sum(line.count for line in lines)}.", err=True)


@report.command()
@click.option(
    "--certificates/--no-certificates",
    default=True,
    show_default=True,
    help="Whether the certificates of others are listed, beside authorities and services.",
)
@out_option
@place_options
def cbom(invocation: Invocation, *, certificates: bool, out: Path | None) -> None:
    """Write a list of all cryptography (CBOM, CycloneDX 1.6)."""
    import json

    from pikaserver.authority.readiness.cbom import cbom as document_of
    from pikaserver.cli.files import write_output
    from pikaserver.cli.opened import opened
    from pikaserver.cli.report.gathering import gathered
    from pikaserver.plugin_discovery import version_of

    with opened(invocation) as server:
        assets = (
            asset for asset in gathered(server).all() if certificates or asset.kind != "certificate"
        )
        version = version_of("pikaserver")
        document = document_of(assets, server.clock(), server.entropy(16), version)
    write_output(json.dumps(document, indent=2).encode() + b"\n", out)
