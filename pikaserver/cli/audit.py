"""``pikaserver audit``: who did what, in a chain that shows every change."""

from datetime import datetime
from pathlib import Path

import click

from pikaserver.cli.exit_codes import REFUSED
from pikaserver.cli.files import output_lines
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import FILE, INPUT_FILE, MOMENT, out_option

_since = click.option("--since", type=MOMENT, help="From this day or moment on (UTC).")
_until = click.option("--until", type=MOMENT, help="Before this day or moment (UTC).")
_event = click.option("--event", metavar="WORD", help="Of this kind only: certificate.revoked.")
_actor = click.option("--actor", metavar="WHO", help="By this actor only: cli:anna.")


@click.group()
def audit() -> None:
    """Check and read the audit trail.

    Every deed leaves a record whose hash covers the record before it.
    """


@audit.command()
@click.option(
    "--checkpoint",
    type=INPUT_FILE,
    metavar="FILE",
    help="Also hold the trail against a checkpoint that was kept elsewhere.",
)
@command_options
def verify(invocation: Invocation, *, checkpoint: Path | None) -> None:
    """Check that no record was changed, left out or added.

    Ends with 1, and names the first one, where that happened.
    """
    from pikaserver.cli.opened import opened_database
    from pikaserver.storage import audit as storage

    with opened_database(invocation) as database, database.reading() as connection:
        report = storage.verify(connection)
    result: dict[str, object] = {
        "intact": report.problem is None,
        "records": report.records,
        "problem": report.problem,
        # Kept elsewhere, these show later that nothing was cut off.
        "heads": {str(node): head.hash.hex() for node, head in report.heads.items()},
    }
    if checkpoint is not None and report.problem is None:
        result |= _held_against(invocation, checkpoint)
    invocation.write(result)
    if result["problem"] is not None:
        click.get_current_context().exit(REFUSED)


def _held_against(invocation: Invocation, checkpoint: Path) -> dict[str, object]:
    from pikaserver.cli.files import read_file
    from pikaserver.cli.opened import opened

    octets = read_file(checkpoint)
    with opened(invocation) as server:
        checked = server.checkpoints().check(octets)
    return {
        "intact": checked.problem is None,
        "problem": checked.problem,
        "checkpoint_at": checked.checkpoint.at,
        "signer": checked.signer.subject,
        "signer_status": checked.signer.status,
    }


@audit.command()
@click.option(
    "--authority",
    metavar="NAME",
    default="issuing",
    show_default=True,
    help="The authority below whose certificate it is signed.",
)
@click.option("--out", type=FILE, metavar="FILE", required=True, help="Write it there (CMS, DER).")
@place_options
def checkpoint(invocation: Invocation, *, authority: str, out: Path) -> None:
    """Sign where the trail ends now; keep that elsewhere.

    'audit verify --checkpoint' shows later whether anything up to there was cut off or rewritten.
    """
    from pikaserver.cli.files import write_output
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        octets = server.checkpoints().sign(authority, invocation.actor)
    write_output(octets, out)


@audit.command()
@_since
@_until
@_event
@_actor
@out_option
@place_options
def export(
    invocation: Invocation,
    *,
    since: datetime | None,
    until: datetime | None,
    event: str | None,
    actor: str | None,
    out: Path | None,
) -> None:
    """Write records as JSON, one per line, with their hashes."""
    from pikaserver.cli.opened import opened_database
    from pikaserver.storage import audit as storage

    query = storage.TrailQuery(since=since, until=until, event=event, actor=actor)
    with opened_database(invocation) as database, database.reading() as connection:
        output_lines(storage.export(connection, query), out)


@audit.command("list")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="How many at most.",
)
@_event
@_actor
@command_options
def list_records(
    invocation: Invocation, *, last: int, event: str | None, actor: str | None
) -> None:
    """List the last records."""
    from pikaserver.cli.audit_records import last_records, record_row
    from pikaserver.cli.opened import opened_database

    with opened_database(invocation) as database, database.reading() as connection:
        found = last_records(connection, last, event=event, actor=actor)
    invocation.write([record_row(one) for one in found])
