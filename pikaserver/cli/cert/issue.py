"""``pikaserver cert issue``: a certificate right now, for a CSR or with a key made here."""

import click

from pikaserver.cli.cert.options import IssueOptions, issue_options
from pikaserver.cli.cert.pair_options import PairOptions, check_pairing, pair_options
from pikaserver.cli.cert.wished_names import WishedNames, name_options
from pikaserver.cli.invocation import Invocation, command_options


@click.command()
@issue_options
@pair_options
@name_options
@command_options
def issue(
    invocation: Invocation, *, wish: IssueOptions, pairing: PairOptions, names: WishedNames
) -> None:
    """Issue a certificate by a template.

    Either for a request (--csr), or for the names given here and a key made here:
    --dns www.example.com --key-out www.key --out www.pem.  Ends with 8 where somebody has to
    approve first.
    """
    from pikaserver.cli.cert.issuing import issue_certificate

    if wish.csr is not None:
        if not names.is_empty or wish.key_out or wish.p12_out:
            raise click.UsageError("with --csr names and key come from the request alone")
    elif not (wish.key_out or wish.p12_out or wish.dry_run):
        raise click.UsageError("name --csr, or where the new key goes: --key-out or --p12-out")
    check_pairing(pairing, with_csr=wish.csr is not None)
    issue_certificate(invocation, wish, pairing, names)
