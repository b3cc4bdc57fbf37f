"""``pikaserver doctor``: what is wrong here, and what to do about it."""

import click

from pikaserver.cli.exit_codes import UNHEALTHY
from pikaserver.cli.invocation import Invocation, command_options


@click.command()
@command_options
def doctor(invocation: Invocation) -> None:
    """Examine settings, files, database, keys and certificates.

    Changes nothing.  Says for everything that it finds what to do; ends with 6 where something
    is a problem, and with 0 where there are warnings at most.
    """
    from pikaserver.cli.doctor.examination import examine
    from pikaserver.cli.doctor.findings import State, finding_details, finding_row

    findings = examine(invocation)
    if invocation.output == "table":
        invocation.write([finding_row(one) for one in findings])
        for one in findings:
            if one.advice:
                click.echo(f"\n{one.state.upper()}: {one.check}: {one.found}\n  {one.advice}")
    else:
        invocation.write([finding_details(one) for one in findings])
    if any(one.state is State.PROBLEM for one in findings):
        click.get_current_context().exit(UNHEALTHY)
