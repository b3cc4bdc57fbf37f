"""``pikaserver csr``: certificate requests, made and looked into."""

from dataclasses import dataclass
from pathlib import Path

import click

from pikaserver.cli.cert.wished_names import WishedNames, name_options
from pikaserver.cli.files import read_file, write_output, write_secret
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import (
    DEFAULT_KEY_TYPE,
    FILE,
    HASHES,
    INPUT_FILE,
    KEM_KEY_TYPES,
    SOFTWARE_KEY_TYPES,
    bundle,
    out_option,
    passphrase_option,
)
from pikaserver.cli.stated_options import StatedBy, stated_options


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Which key a request is for."""

    key_ref: str | None
    key_file: Path | None
    key_out: Path | None
    key_type: str
    hash: str | None
    pss: bool
    passphrase_file: Path | None


_key_options = bundle(
    "key",
    RequestKey,
    click.option("--key-ref", metavar="SCHEME:NAME", help="A key that this server keeps."),
    click.option("--key-file", type=INPUT_FILE, metavar="FILE", help="A private key in a file."),
    click.option(
        "--key-out", type=FILE, metavar="FILE", help="Make a new key and write it there (0600)."
    ),
    click.option(
        "--key-type",
        type=click.Choice(SOFTWARE_KEY_TYPES + KEM_KEY_TYPES),
        default=DEFAULT_KEY_TYPE,
        show_default=True,
        metavar="TYPE",
        help="Type of the new key.",
    ),
    click.option("--hash", type=click.Choice(HASHES), help="Hash of an RSA or ECDSA signature."),
    click.option("--pss", is_flag=True, help="Sign with RSA-PSS instead of PKCS#1 v1.5."),
    passphrase_option,
)


@click.group()
def csr() -> None:
    """Make certificate requests (PKCS#10), and look into them."""


@csr.command()
@name_options
@_key_options
@stated_options
@out_option
@place_options
def create(
    invocation: Invocation,
    *,
    names: WishedNames,
    key: RequestKey,
    stated: StatedBy,
    out: Path | None,
) -> None:
    """Make a request for a key: the server's, a file's, a new one.

    A key that cannot sign (ML-KEM) is stated by a certificate of the same holder (RFC 9883).
    """
    from pikaserver.asn1.pem import write_pem

    request = _stated(names, key, stated) if stated.is_asked else _made(invocation, names, key)
    write_output(write_pem("CERTIFICATE REQUEST", request), out)


def _stated(names: WishedNames, key: RequestKey, stated: StatedBy) -> bytes:
    from pikaserver.cli.stated_requests import stated_request

    if key.key_ref or key.key_file or bool(key.key_out) == bool(stated.public_key):
        raise click.UsageError("with --stated-by, name one of --key-out and --public-key")
    return stated_request(stated, names, key.key_type, key.key_out, key.passphrase_file)


def _made(invocation: Invocation, names: WishedNames, key: RequestKey) -> bytes:
    from pikaserver.cli.key_files import read_key_file
    from pikaserver.cli.local_keys import load_local_key, make_local_key
    from pikaserver.cli.server_keys import csr_with_server_key
    from pikaserver.clock import system_entropy
    from pikaserver.signing.private_keys import write_private_key

    if sum(one is not None for one in (key.key_ref, key.key_file, key.key_out)) != 1:
        raise click.UsageError("name one of --key-ref, --key-file and --key-out")
    if key.key_type in KEM_KEY_TYPES and key.key_out:
        raise click.UsageError(f"{key.key_type} keys cannot sign: name --stated-by")
    if key.key_ref:
        return csr_with_server_key(invocation, key.key_ref, names, key.hash, pss=key.pss)
    if key.key_file:
        local = load_local_key(read_key_file(key.key_file, key.passphrase_file).pkcs8)
        return local.csr(names, key.hash, pss=key.pss)
    local = make_local_key(key.key_type)
    request = local.csr(names, key.hash, pss=key.pss)
    if key.key_out:
        write_secret(key.key_out, write_private_key(local.pkcs8, None, system_entropy))
    return request


@csr.command()
@click.argument("file", type=INPUT_FILE)
@command_options
def show(invocation: Invocation, file: Path) -> None:
    """Show what a request asks for; '-' is standard input."""
    from pikaserver.asn1.csr import read_csr_text
    from pikaserver.cli.records import pem_text
    from pikaserver.cli.request_records import csr_content

    request = read_csr_text(read_file(file))
    pem = pem_text("CERTIFICATE REQUEST", request.der)
    invocation.write(csr_content(request), pem=[pem])
