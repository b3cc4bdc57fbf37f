"""``pikaserver cert``: what was issued, and issuing without any protocol."""

import click

from pikaserver.cli.cert.export import export
from pikaserver.cli.cert.issue import issue
from pikaserver.cli.cert.pair import pair
from pikaserver.cli.cert.replace import keep, renewal, replace
from pikaserver.cli.cert.revoke import revoke, unhold
from pikaserver.cli.cert.search import SearchOptions, authority_option, search_options
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import SERIAL


@click.group()
def cert() -> None:
    """Issue, find, revoke and export certificates.

    A SERIAL is hex, as 'openssl x509 -serial' prints it.
    """


@cert.command("list")
@search_options
@command_options
def list_certificates(invocation: Invocation, search: SearchOptions) -> None:
    """List certificates, newest first, a page at a time."""
    from pikaserver.cli.cert.found import query
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_details, certificate_pem, certificate_row

    with opened(invocation) as server:
        found = server.certificates.find(query(search, server.clock()))
    row = certificate_row if invocation.output == "table" else certificate_details
    pem = certificate_pem(one.certificate for one in found if one.certificate)
    invocation.write([row(one) for one in found], pem=pem)
    if len(found) == search.limit:
        click.echo(f"There may be more: --after {found[-1].id}", err=True)


@cert.command()
@click.argument("serial", type=SERIAL)
@authority_option
@command_options
def show(invocation: Invocation, serial: int, authority: str | None) -> None:
    """Show a certificate: status, origin, and what it says."""
    from pikaserver.asn1.certificate import read_certificate
    from pikaserver.cli.cert.found import one_certificate
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_content, certificate_details, certificate_pem

    with opened(invocation) as server:
        record = one_certificate(server, serial, authority)
    details = certificate_details(record)
    if record.certificate is not None:
        content = certificate_content(read_certificate(record.certificate))
        details = {**details, **content}
    pem = certificate_pem([record.certificate] if record.certificate else [])
    invocation.write(details, pem=pem)


for _command in (issue, revoke, unhold, export, pair, renewal, replace, keep):
    cert.add_command(_command)
