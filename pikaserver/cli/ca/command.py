"""``pikaserver ca``: the authorities of this server."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from pikaserver.cli.ca.importing import import_existing, import_signed
from pikaserver.cli.ca.options import (
    ContentOptions,
    KeyOptions,
    content_options,
    key_options,
    patience_option,
)
from pikaserver.cli.ca.pointer_options import PointerOptions, pointer_options
from pikaserver.cli.ca.succession import cross_sign, csr, rekey, renew
from pikaserver.cli.files import write_output
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import confirm, out_option, yes_option


@click.group()
def ca() -> None:
    """Make authorities (CAs), renew them, and set how they work.

    A root stands for itself; others are certified by a root, or by an authority between.
    """


@ca.command()
@click.argument("name")
@click.option("--parent", metavar="AUTHORITY", help="Certify it by this authority of the server.")
@click.option("--csr", "elsewhere", is_flag=True, help="Print a CSR: another CA certifies it.")
@content_options
@key_options
@pointer_options
@patience_option
@command_options
def create(  # noqa: PLR0913 - one argument for each thing that an operator decides
    invocation: Invocation,
    name: str,
    parent: str | None,
    content: ContentOptions,
    key: KeyOptions,
    pointers: PointerOptions,
    *,
    elsewhere: bool,
    wait: timedelta | None,
) -> None:
    """Make an authority.

    It is a root, unless --parent names the authority of this server that certifies it, or
    --csr asks for a request that a CA elsewhere shall sign.  Where the key's keeper wants
    approvals first, the same command goes on when they are there.
    """
    from pikaserver.cli.ca.patience import patiently, tell
    from pikaserver.cli.ca.plans import plan
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem, pem_text

    if parent and elsewhere:
        raise click.UsageError("--parent and --csr exclude each other")
    with opened(invocation) as server:
        wanted = replace(plan(server, name, key, content, pointers, parent), tell=tell)
        actor, ceremony = invocation.actor, server.ceremony
        if elsewhere:
            request = patiently(lambda: ceremony.create_waiting(wanted, actor), wait)
            pem = pem_text("CERTIFICATE REQUEST", request)
            click.echo(f"Next: have it signed, then 'ca import-signed {name} FILE'.", err=True)
            if invocation.output in {"table", "pem"}:
                click.echo(pem, nl=False)
            else:
                invocation.write({"name": name, "csr": pem})
            return
        if parent:
            record = patiently(lambda: ceremony.create_subordinate(wanted, parent, actor), wait)
        else:
            record = patiently(lambda: ceremony.create_root(wanted, actor), wait)
        server.crls.issue_due()  # a CRL that is there from the first moment
        pems = certificate_pem([server.authorities.key(name).generation.certificate])
        invocation.write(authority_details(server, record), pem=pems)


@ca.command("list")
@command_options
def list_authorities(invocation: Invocation) -> None:
    """List the authorities."""
    from pikaserver.cli.ca.records import authority_row
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem

    with opened(invocation) as server:
        records = [server.authorities.get(name) for name in server.authorities.names()]
    current = [one.certificate for record in records for one in record.generations if one.current]
    invocation.write([authority_row(record) for record in records], pem=certificate_pem(current))


@ca.command()
@click.argument("name")
@command_options
def show(invocation: Invocation, name: str) -> None:
    """Show an authority: certificate, key, URLs, CRL settings."""
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem

    with opened(invocation) as server:
        record = server.authorities.get(name)
        details = authority_details(server, record)
    current = [one.certificate for one in record.generations if one.current]
    invocation.write(details, pem=certificate_pem(current))


@ca.command()
@click.argument("name")
@command_options
def enable(invocation: Invocation, name: str) -> None:
    """Let an authority sign again."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        server.ceremony.set_enabled(name, invocation.actor, enabled=True)
    invocation.write({"name": name, "state": "enabled"})


@ca.command()
@click.argument("name")
@yes_option
@command_options
def disable(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Let an authority sign nothing any more but its CRLs."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        server.authorities.get(name)
        confirm(f"Stop every template that issues by {name}?", yes=yes)
        server.ceremony.set_enabled(name, invocation.actor, enabled=False)
    invocation.write({"name": name, "state": "disabled"})


@ca.command("set")
@click.argument("name")
@pointer_options
@click.option(
    "--default",
    "defaults",
    multiple=True,
    type=click.Choice(("issuer-url", "crl-url", "crl-delta-url", "ocsp-url", "cps")),
    help="Go back to what holds when nothing is set.  Repeatable.",
)
@command_options
def set_settings(
    invocation: Invocation, name: str, pointers: PointerOptions, defaults: tuple[str, ...]
) -> None:
    """Change URLs and CRL times of an authority.

    What is issued from now on follows them; certificates that are out stay as they are.
    """
    from pikaserver.cli.ca.plans import settings, without
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        before = without(server.authorities.settings(name), defaults)
        server.ceremony.save_settings(name, settings(before, pointers), invocation.actor)
        invocation.write(authority_details(server, server.authorities.get(name)))


@ca.command()
@click.argument("name")
@click.option("--chain", is_flag=True, help="With the certificates above it, up to the root.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("pem", "der", "p7b")),
    default="pem",
    show_default=True,
    help="PEM, one certificate in DER, or a PKCS#7 bag in DER.",
)
@out_option
@place_options
def export(invocation: Invocation, name: str, form: str, out: Path | None, *, chain: bool) -> None:
    """Write an authority's certificate to a file."""
    from pikaserver.cli.exports import certificates_as
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        generation = server.authorities.key(name).generation
    above = generation.chain if chain else ()
    write_output(certificates_as(form, [generation.certificate, *above]), out)


for _command in (import_signed, import_existing, csr, renew, rekey, cross_sign):
    ca.add_command(_command)
