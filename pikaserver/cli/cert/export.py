"""``pikaserver cert export``: a certificate as a file for some program."""

from pathlib import Path

import click

from pikaserver.cli.cert.search import authority_option
from pikaserver.cli.files import new_passphrase, write_output, write_secret
from pikaserver.cli.invocation import Invocation, place_options
from pikaserver.cli.options import INPUT_FILE, SERIAL, out_option, passphrase_option


@click.command()
@click.argument("serial", type=SERIAL)
@click.option(
    "--format",
    "form",
    type=click.Choice(("pem", "der", "chain", "p7b", "p12")),
    default="pem",
    show_default=True,
    help="pem and der: the certificate alone; chain: PEM up to the root; p7b: the same as "
    "PKCS#7; p12: with its private key as PKCS#12.",
)
@click.option("--key-file", type=INPUT_FILE, metavar="FILE", help="The private key, for p12 only.")
@click.option(
    "--key-passphrase-file",
    type=INPUT_FILE,
    metavar="FILE",
    help="Read the private key's passphrase from the first line of a file.",
)
@passphrase_option
@authority_option
@out_option
@place_options
def export(  # noqa: PLR0913 - one argument for each thing that an operator decides
    invocation: Invocation,
    serial: int,
    *,
    form: str,
    key_file: Path | None,
    key_passphrase_file: Path | None,
    passphrase_file: Path | None,
    authority: str | None,
    out: Path | None,
) -> None:
    """Write a certificate to a file for some program."""
    from pikaserver.cli.cert.found import one_certificate, whole_chain
    from pikaserver.cli.exports import certificates_as, pkcs12_of
    from pikaserver.cli.key_files import read_key_file
    from pikaserver.cli.opened import opened

    if (form == "p12") != (key_file is not None):
        raise click.UsageError("--format p12 and --key-file go together")
    with opened(invocation) as server:
        issued = server.enrollment.issued(one_certificate(server, serial, authority))
    if key_file is None:
        certificates = [issued.certificate] if form in {"pem", "der"} else whole_chain(issued)
        write_output(certificates_as("pem" if form == "chain" else form, certificates), out)
        return
    if out is None:
        raise click.UsageError("--format p12 needs --out FILE: it holds a private key")
    pkcs8 = read_key_file(key_file, key_passphrase_file).pkcs8
    passphrase = new_passphrase(passphrase_file, str(out))
    write_secret(out, pkcs12_of(issued, pkcs8, passphrase))
