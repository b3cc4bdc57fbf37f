"""``pikaserver key``: the private keys that this server keeps."""

from pathlib import Path

import click

from pikaserver.cli.files import new_passphrase, write_output, write_secret
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import (
    DEFAULT_KEY_TYPE,
    INPUT_FILE,
    KEY_FORMS,
    KEY_TYPES,
    KeyType,
    confirm,
    out_option,
    passphrase_option,
    yes_option,
)

_exportable = click.option(
    "--exportable", is_flag=True, help="Let 'key export' hand it out.  It cannot be changed later."
)


@click.group()
def key() -> None:
    """List, make, import, export and remove keys.

    A key is called SCHEME:NAME, like software:issuing-1; the scheme says where it lives.
    """


@key.command("list")
@command_options
def list_keys(invocation: Invocation) -> None:
    """List the keys, with the authority that uses them."""
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import pem_text
    from pikaserver.cli.server_keys import described, key_row

    with opened(invocation) as server:
        found = list(described(server))
    invocation.write(
        [key_row(one, authority) for one, authority in found],
        pem=[pem_text("PUBLIC KEY", one.public_key) for one, _ in found],
    )


@key.command()
@click.argument("name", metavar="SCHEME:NAME")
@click.option(
    "--type",
    "kind",
    type=KeyType(),
    default=DEFAULT_KEY_TYPE,
    show_default=True,
    metavar="TYPE",
    help=f"One of {', '.join(KEY_TYPES)}.",
)
@_exportable
@command_options
def generate(invocation: Invocation, name: str, kind: str, *, exportable: bool) -> None:
    """Make a key."""
    from pikaserver.cli import server_keys
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import pem_text

    with opened(invocation) as server:
        server_keys.generate(server, name, kind, invocation.actor, exportable=exportable)
        made, authority = server_keys.one_key(server, name)
    pem = pem_text("PUBLIC KEY", made.public_key)
    invocation.write(server_keys.key_row(made, authority), pem=[pem])


@key.command("import")
@click.argument("name", metavar="SCHEME:NAME")
@click.argument("file", type=INPUT_FILE)
@passphrase_option
@_exportable
@command_options
def import_key(
    invocation: Invocation, name: str, file: Path, passphrase_file: Path | None, *, exportable: bool
) -> None:
    """Bring a private key from a file.

    FILE is PKCS#8 or traditional, in PEM or DER, or PKCS#12.  ML-DSA keys come in any form;
    one without a seed, and SLH-DSA, can only be kept as openssl:NAME.
    """
    from pikaserver.cli import server_keys
    from pikaserver.cli.key_files import read_key_file
    from pikaserver.cli.opened import opened

    found = read_key_file(file, passphrase_file)
    with opened(invocation) as server:
        server_keys.bring_in(server, name, found.pkcs8, invocation.actor, exportable=exportable)
        invocation.write(server_keys.key_row(*server_keys.one_key(server, name)))


@key.command()
@click.argument("name", metavar="SCHEME:NAME")
@click.option("--unencrypted", is_flag=True, help="Without a passphrase, for programs.")
@click.option(
    "--form",
    type=click.Choice(KEY_FORMS),
    help="How an ML-DSA key is written: RFC 9881 knows seed, expanded and both; oqs is "
    "oqsprovider's.  [default: seed, where the key has one]",
)
@passphrase_option
@out_option
@place_options
def export(
    invocation: Invocation,
    name: str,
    *,
    passphrase_file: Path | None,
    out: Path | None,
    unencrypted: bool,
    form: str | None,
) -> None:
    """Hand out a private key that was made exportable.

    It comes as PKCS#8 in PEM, encrypted with a passphrase.
    """
    from pikaserver.cli.opened import opened
    from pikaserver.cli.server_keys import hand_out
    from pikaserver.clock import system_entropy
    from pikaserver.signing.private_keys import write_private_key

    passphrase = None if unencrypted else new_passphrase(passphrase_file, "the exported key")
    with opened(invocation) as server:
        pkcs8 = hand_out(server, name, invocation.actor)
    text = write_private_key(pkcs8, passphrase, system_entropy, form)
    if out is None:
        write_output(text, None)
    else:
        write_secret(out, text)


@key.command()
@click.argument("name", metavar="SCHEME:NAME")
@yes_option
@command_options
def remove(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Destroy a key for good, unless an authority needs it."""
    from pikaserver.cli import server_keys
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        server_keys.check_unused(*server_keys.one_key(server, name))
        confirm(f"Destroy key {name} for good?", yes=yes)
        server_keys.remove(server, name, invocation.actor)
    invocation.write({"key": name, "state": "destroyed"})
