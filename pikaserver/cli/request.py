"""``pikaserver request``: requests that wait for a person's decision."""

from datetime import timedelta

import click

from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import DURATION

_STATES = ("pending", "approved", "issued", "declined", "all")


@click.group()
def request() -> None:
    """Decide on requests whose template wants an approval."""


@request.command("list")
@click.option(
    "--state",
    type=click.Choice(_STATES),
    default="pending",
    show_default=True,
    help="Which ones.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=100,
    show_default=True,
    help="How many at most.",
)
@command_options
def list_requests(invocation: Invocation, *, state: str, limit: int) -> None:
    """List requests, newest first."""
    from pikaserver.api.issuance import RequestState
    from pikaserver.cli.opened import opened
    from pikaserver.cli.request_records import request_row

    wanted = None if state == "all" else RequestState(state)
    with opened(invocation) as server:
        invocation.write([request_row(one) for one in server.requests.list(wanted, limit)])


@request.command()
@click.argument("number", metavar="ID", type=int)
@command_options
def show(invocation: Invocation, number: int) -> None:
    """Show what was asked, and what rules and people said."""
    from pikaserver.asn1.crmf import is_request_message
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import pem_text
    from pikaserver.cli.request_records import request_and_trace

    with opened(invocation) as server:
        details, trace = request_and_trace(server, number)
        csr = server.requests.get(number).csr
    if invocation.output != "table":
        # A request in CRMF has no form in PEM.
        pem = [] if is_request_message(csr) else [pem_text("CERTIFICATE REQUEST", csr)]
        invocation.write({**details, "trace": trace}, pem=pem)
        return
    invocation.write(details)
    click.echo()
    invocation.write(trace)


@request.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--comment", help="Why; kept with the request.")
@click.option(
    "--validity", type=DURATION, help="Another validity, where every template allows it: 90d."
)
@command_options
def approve(
    invocation: Invocation, number: int, comment: str | None, validity: timedelta | None
) -> None:
    """Say yes to a request, and issue what it asks for."""
    from pikaserver.api.issuance import RequestState
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem, certificate_row

    with opened(invocation) as server:
        # Somebody's yes may have been followed by a key that was away; then it is issued now.
        if server.requests.get(number).state is not RequestState.APPROVED:
            server.requests.decide(
                number, invocation.actor, approve=True, comment=comment, validity=validity
            )
        issued = server.issue_approved(number)
    rows = [{"id": number, "state": "issued", **certificate_row(one.record)} for one in issued]
    pem = certificate_pem([one.certificate for one in issued])
    invocation.write(rows if len(rows) > 1 else rows[0], pem=pem)


@request.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--comment", required=True, help="Why; the requester reads it.")
@command_options
def decline(invocation: Invocation, number: int, comment: str) -> None:
    """Say no to a request."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        server.requests.decide(number, invocation.actor, approve=False, comment=comment)
    invocation.write({"id": number, "state": "declined"})
