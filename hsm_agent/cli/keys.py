"""``hsm-agent keys`` and ``hsm-agent slots``: what is here, and what is added."""

import argparse
import base64
from pathlib import Path

from hsm_agent.cli.output import say, warn, write_json, write_record, write_rows
from hsm_agent.cli.reach import reach
from hsm_agent.control.exit_codes import DONE
from hsm_agent.faults import AgentFault

_COLUMNS = ("name", "key_type", "state", "trial", "certificate", "spki")
_HIDDEN = ("public_key", "store", "label")


def listing(arguments: argparse.Namespace) -> int:
    """List the keys."""
    with reach(arguments.data) as do:
        keys = do("keys", refresh=getattr(arguments, "refresh", False))
    write_rows(keys, _COLUMNS, arguments.output, "There is no key yet.")
    return DONE


def generate(arguments: argparse.Namespace) -> int:
    """Make a key."""
    with reach(arguments.data) as do:
        key = do(
            "generate",
            name=arguments.name,
            key_type=arguments.key_type,
            profile=arguments.profile,
            pin_policy=arguments.pin_policy,
            touch_policy=arguments.touch_policy,
        )
    show_key(key, arguments.output)
    return DONE


def bring(arguments: argparse.Namespace) -> int:
    """Take a private key from a file."""
    pkcs8 = _read_key(arguments.file, arguments.passphrase_file)
    with reach(arguments.data) as do:
        key = do(
            "import",
            name=arguments.name,
            pkcs8=base64.b64encode(pkcs8).decode(),
            profile=arguments.profile,
            pin_policy=arguments.pin_policy,
            touch_policy=arguments.touch_policy,
        )
    show_key(key, arguments.output)
    warn(f"{arguments.file} still holds the key: destroy it, or keep it as your backup")
    return DONE


def certificate(arguments: argparse.Namespace) -> int:
    """Show or set the authority's certificate of a key."""
    with reach(arguments.data) as do:
        if arguments.file is None:
            _show_chain(do("certificates", name=arguments.name), arguments.output)
        else:
            chain = [base64.b64encode(der).decode() for der in _read_chain(arguments.file)]
            put = do("put-certificates", name=arguments.name, certificates=chain)
            show_key(put, arguments.output)
    return DONE


def slots(arguments: argparse.Namespace) -> int:
    """List the stores, and where a new key could go."""
    with reach(arguments.data) as do:
        stores = do("stores")
    columns = ("name", "kind", "state", "free", "key_types", "details")
    write_rows(stores, columns, arguments.output, "There is no store: see [stores] in agent.toml.")
    return DONE


def show_key(key: object, output: str) -> None:
    """Show one key, and what it still lacks."""
    write_record(key, output, hidden=_HIDDEN)
    if isinstance(key, dict) and key.get("state") == "no-policy":
        warn(
            f'no rules let {key["name"]} sign: write [keys."{key["name"]}"] into the policy,'
            " with a profile, and send the agent SIGHUP"
        )


def _show_chain(record: object, output: str) -> None:
    if output == "json" or not isinstance(record, dict):
        write_json(record)
    elif record["certificates"]:
        say("".join(record["certificates"]).rstrip("\n"))
    else:
        warn(f"{record['name']} has no certificate yet")


def _read_key(file: Path, passphrase_file: Path | None) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
        load_pem_private_key,
    )

    from hsm_agent.private_files import read_private

    octets = file.read_bytes()
    passphrase = read_private(passphrase_file).rstrip(b"\n") if passphrase_file else None
    if passphrase is None and b"-----BEGIN PRIVATE KEY-----" in octets:
        return _body(octets, b"PRIVATE KEY")
    if passphrase is None and not octets.startswith(b"-----"):
        return octets
    load = load_pem_private_key if b"-----BEGIN" in octets else load_der_private_key
    try:
        key = load(octets, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AgentFault(f"{file} cannot be read; is there a passphrase?") from error
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _body(pem: bytes, label: bytes) -> bytes:
    """Return what stands in the first block of a label."""
    _, _, rest = pem.partition(b"-----BEGIN " + label + b"-----")
    body, _, _ = rest.partition(b"-----END " + label + b"-----")
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError as error:
        raise AgentFault("a PEM file with something else in it") from error


def _read_chain(file: Path) -> list[bytes]:
    octets = file.read_bytes()
    blocks = octets.split(b"-----BEGIN CERTIFICATE-----")[1:]
    if not blocks:
        raise AgentFault(f"{file} holds no certificate in PEM")
    begin = b"-----BEGIN CERTIFICATE-----"
    return [_body(begin + block, b"CERTIFICATE") for block in blocks]
