"""``pikaserver ca import-signed`` and ``ca import``: what another CA, or a former server, made."""

from pathlib import Path

import click

from pikaserver.cli.ca.options import (
    ImportedKeyOptions,
    PointerOptions,
    imported_key_options,
    pointer_options,
)
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import INPUT_FILE, passphrase_option


@click.command("import-signed")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=INPUT_FILE)
@command_options
def import_signed(invocation: Invocation, name: str, files: tuple[Path, ...]) -> None:
    """Bring the certificate that another CA made.

    FILES hold the certificate and those above it up to the root: PEM, DER or PKCS#7, in any
    order.  They are checked: same key, a CA, valid now, and a path that holds.
    """
    from pikaserver.cli.ca.plans import certificates_in
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.opened import opened

    certificates = certificates_in(files)
    with opened(invocation) as server:
        record = server.ceremony.import_signed(name, certificates, invocation.actor)
        server.crls.issue_due()  # a CRL that is there from the first moment
        invocation.write(authority_details(server, record))


@click.command("import")
@click.argument("name")
@click.option(
    "--key-file",
    required=True,
    type=INPUT_FILE,
    metavar="FILE",
    help="Its private key: PKCS#8 or traditional, PEM or DER, or PKCS#12.",
)
@click.option(
    "--certificate",
    "files",
    multiple=True,
    type=INPUT_FILE,
    metavar="FILE",
    help="Its certificate and those above it, unless the PKCS#12 file has them.  Repeatable.",
)
@passphrase_option
@imported_key_options
@pointer_options
@command_options
def import_existing(  # noqa: PLR0913 - one argument for each thing that an operator decides
    invocation: Invocation,
    name: str,
    *,
    key_file: Path,
    files: tuple[Path, ...],
    passphrase_file: Path | None,
    key: ImportedKeyOptions,
    pointers: PointerOptions,
) -> None:
    """Take over an authority that exists already, with its key."""
    from pikaserver.asn1.certificate import read_certificate
    from pikaserver.cli.ca.plans import certificates_in, imported_plan, take_over
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.key_files import read_key_file
    from pikaserver.cli.opened import opened
    from pikaserver.signing.private_keys import public_key

    found = read_key_file(key_file, passphrase_file)
    certificates = [*map(read_certificate, found.certificates), *certificates_in(files)]
    wanted = imported_plan(name, public_key(found.pkcs8), key, pointers)
    with opened(invocation) as server:
        take_over(server, wanted, found.pkcs8, certificates, invocation.actor)
        server.crls.issue_due()  # a CRL that is there from the first moment
        invocation.write(authority_details(server, server.authorities.get(name)))
