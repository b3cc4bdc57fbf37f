"""The command ``est``: keys to which the server encrypts the keys that it makes."""

import base64
import re
from pathlib import Path

import click

from pikaserver.api.commands import console
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.identifiers import key_identifier
from pikaserver_est import storage
from pikaserver_est.key_delivery import SECRET

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NAME = re.compile(r"([0-9a-f]{2}){1,64}")
_KEY_OCTETS = {"aes-128": 16, "aes-192": 24, "aes-256": 32}


@click.group()
def est() -> None:
    """Look after keys to which EST encrypts the keys that it makes (serverkeygen).

    A client names the key in its request: a symmetric one that it was given before, or a pair.
    """


@est.group()
def key() -> None:
    """Make, add, list and remove such keys; a NAME is hex."""


@key.command()
@click.option("--name", metavar="HEX", help="What clients call it.  [default: made up]")
@click.option(
    "--kind",
    type=click.Choice(list(_KEY_OCTETS)),
    default="aes-256",
    show_default=True,
    help="For which cipher it wraps.",
)
def create(name: str | None, kind: str) -> None:
    """Make a symmetric key; it is shown now and never again."""
    with console().server() as server:
        octets = server.entropy(_KEY_OCTETS[kind])
        called = _checked(name or server.entropy(8).hex())
        new = storage.DecryptKey(
            called, server.secrets.seal(SECRET, octets), None, server.clock(), console().actor
        )
        with server.database.transaction() as connection:
            storage.add_key(connection, new)
            server.audit.record(connection, "est.key-added", console().actor, key=called)
    shown = {"name": called, "kind": kind, "key": octets.hex()}
    console().write({**shown, "base64": base64.b64encode(octets).decode()})


@key.command()
@click.argument("certificate", type=_FILE)
@click.option("--name", metavar="HEX", help="What clients call it.  [default: its key identifier]")
def add(certificate: Path, name: str | None) -> None:
    """Add a key pair by its certificate: RSA, or EC."""
    found = read_certificates(certificate.read_bytes())
    if len(found) != 1:
        raise MalformedRequest(f"{certificate} holds {len(found)} certificates instead of one")
    own = key_identifier(public_key_of(read_certificate(found[0]))).hex()
    with console().server() as server:
        called = _checked(name or own)
        new = storage.DecryptKey(called, None, found[0], server.clock(), console().actor)
        with server.database.transaction() as connection:
            storage.add_key(connection, new)
            server.audit.record(connection, "est.key-added", console().actor, key=called)
    console().write({"name": called, "kind": "certificate"})


@key.command("list")
def list_keys() -> None:
    """List the keys, without what is secret of them."""
    with console().server() as server, server.database.reading() as connection:
        console().write(
            [
                {
                    "name": one.name,
                    "kind": "symmetric" if one.sealed else "certificate",
                    "created_at": one.created_at,
                    "created_by": one.created_by,
                }
                for one in storage.keys(connection)
            ]
        )


@key.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a key: nothing is encrypted to it any more."""
    with console().server() as server, server.database.transaction() as connection:
        storage.remove_key(connection, _checked(name))
        server.audit.record(connection, "est.key-removed", console().actor, key=_checked(name))
    console().write({"name": _checked(name), "state": "removed"})


def _checked(name: str) -> str:
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise MalformedRequest(f"{name!r} is not 1 to 64 octets in hex")
    return lower
