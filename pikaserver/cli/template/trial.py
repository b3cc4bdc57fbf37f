"""``pikaserver template test``: what would a template make of this request, and why?"""

from datetime import timedelta
from pathlib import Path

import click

from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import DURATION, INPUT_FILE


@click.command()
@click.argument("name")
@click.option(
    "--csr", type=INPUT_FILE, required=True, metavar="FILE", help="The request, in PEM or DER."
)
@click.option("--door", default="cli", show_default=True, help="As if it came by: est, cli ...")
@click.option(
    "--proof",
    default="operator",
    show_default=True,
    help="As if the requester had proved the right to ask by: code, operator ...",
)
@click.option("--validity", type=DURATION, help="As if this had been asked for.")
@command_options
def test(
    invocation: Invocation,
    name: str,
    *,
    csr: Path,
    door: str,
    proof: str,
    validity: timedelta | None,
) -> None:
    """Try a request: nothing is stored, spent or signed.

    Prints every rule that was asked, what it answered and why, and the certificate that would
    come of it.  Ends with 1 where the request would be refused.
    """
    from pikaserver.api.issuance import EnrollmentRequest, Requester
    from pikaserver.asn1.csr import read_csr_text
    from pikaserver.cli.cert.dry_runs import Unspent, write_dry_run
    from pikaserver.cli.files import read_file
    from pikaserver.cli.opened import opened

    request = EnrollmentRequest(
        csr=read_csr_text(read_file(csr)),
        requester=Requester(invocation.actor, proof, templates=frozenset({name}), proof=Unspent()),
        template=name,
        door=door,
        validity=validity,
    )
    with opened(invocation) as server:
        write_dry_run(invocation, server.enrollment.dry_run(request))
