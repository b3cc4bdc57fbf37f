"""What a dry run found, for people and for programs."""

import click
from sqlalchemy import Connection

from pikaserver.asn1.certificate import with_dummy_signature
from pikaserver.authority.enroll import DryRun
from pikaserver.authority.issuance import Draft
from pikaserver.cli.exit_codes import REFUSED
from pikaserver.cli.invocation import Invocation
from pikaserver.cli.output import Record
from pikaserver.cli.records import certificate_content, trace_rows


class Unspent:
    """Stands for a fresh code, of which a trial uses nothing; see ``OneTimeProof``."""

    def spend(self, connection: Connection) -> None:
        """Spend nothing."""

    def restore(self, connection: Connection) -> None:
        """Give nothing back."""


def write_dry_run(invocation: Invocation, outcome: DryRun) -> None:
    """Write trace and draft; end the command with 1 where a rule refused."""
    trace = trace_rows(outcome.trace)
    draft = _content(outcome.draft)
    if invocation.output == "table":
        invocation.write(trace)
        click.echo()
        if draft is None:
            click.echo(f"It would be refused: {outcome.error}")
        else:
            click.echo("It would be issued as:")
            invocation.write(draft)
    else:
        invocation.write(
            {
                "allowed": outcome.error is None,
                "error": outcome.error,
                "certificate": draft,
                "trace": trace,
            }
        )
    if outcome.error is not None:
        click.get_current_context().exit(REFUSED)


def _content(draft: Draft | None) -> Record | None:
    if draft is None:
        return None
    return certificate_content(with_dummy_signature(draft.new.tbs, draft.algorithm))
