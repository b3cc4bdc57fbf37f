"""``pikaserver ca import-signed`` and ``ca import``: what another CA, or a former server, made."""

from pathlib import Path

import click

from pikaserver.cli.ca.options import ImportedKeyOptions, imported_key_options
from pikaserver.cli.ca.pointer_options import PointerOptions, pointer_options
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
    type=INPUT_FILE,
    metavar="FILE",
    help="Its private key: PKCS#8 or traditional, PEM or DER, or PKCS#12.",
)
@click.option("--no-key", is_flag=True, help="Its key stays elsewhere: its CRLs are uploaded.")
@click.option(
    "--certificate",
    "files",
    multiple=True,
    type=INPUT_FILE,
    metavar="FILE",
    help="Its certificate and those above it, unless the PKCS#12 file has them.  Repeatable.",
)
@click.option(
    "--crl",
    "former_crl",
    type=INPUT_FILE,
    metavar="FILE",
    help="Its last CRL: numbers go on from there, and what it lists stays revoked.",
)
@passphrase_option
@imported_key_options
@pointer_options
@command_options
def import_existing(  # noqa: PLR0913 - one argument for each thing that an operator decides
    invocation: Invocation,
    name: str,
    *,
    key_file: Path | None,
    no_key: bool,
    former_crl: Path | None,
    files: tuple[Path, ...],
    passphrase_file: Path | None,
    key: ImportedKeyOptions,
    pointers: PointerOptions,
) -> None:
    """Take over an authority that exists already, with its key.

    With --key a key that a backend keeps already is used, such as one of a signing agent.
    """
    from pikaserver.asn1.certificate import read_certificate
    from pikaserver.cli.ca import plans
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.crl_files import crls_in
    from pikaserver.cli.key_files import read_key_file
    from pikaserver.cli.opened import opened
    from pikaserver.signing.private_keys import public_key

    if no_key + (key_file is not None) + (key.key is not None and key_file is None) != 1:
        raise click.UsageError("name one of --key-file, --key and --no-key")
    found = read_key_file(key_file, passphrase_file) if key_file else None
    certificates = plans.certificates_in(files)
    if found is not None:
        certificates = [*map(read_certificate, found.certificates), *certificates]
    with opened(invocation) as server:
        spki = public_key(found.pkcs8) if found else plans.its_key(server, key, certificates)
        wanted = plans.imported_plan(name, spki, key, pointers)
        if found is not None:
            plans.take_over(server, wanted, found.pkcs8, certificates, invocation.actor)
        else:
            server.ceremony.import_existing(wanted, certificates, invocation.actor, keyless=no_key)
        if former_crl is not None:
            (octets,) = crls_in(former_crl)
            server.foreign_crls.take_over(name, octets, invocation.actor)
        server.crls.issue_due()  # a CRL that is there from the first moment
        invocation.write(authority_details(server, server.authorities.get(name)))
