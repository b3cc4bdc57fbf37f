"""What ``enroll`` may be told, so that one command makes an agent that can run."""

import argparse
from pathlib import Path

from hsm_agent.wire.channel_kinds import TLS_KINDS
from hsm_agent.wire.frame_kinds import FRAME_KINDS


def add_key_kinds(command: argparse.ArgumentParser, usual: str) -> None:
    """Add the kinds of the keys that nodes see."""
    keys = command.add_argument_group(f"keys of the lines to the server; without these: {usual}")
    keys.add_argument(
        "--frame-key",
        choices=tuple(FRAME_KINDS),
        default="",
        metavar="KIND",
        help=", ".join(FRAME_KINDS),
    )
    keys.add_argument(
        "--tls-key", choices=TLS_KINDS, default="", metavar="KIND", help=", ".join(TLS_KINDS)
    )


def add_enroll_options(enroll: argparse.ArgumentParser) -> None:
    """Add code and options."""
    enroll.add_argument("code", metavar="CODE", help="of 'pikaserver agent enroll'; - reads a line")
    enroll.add_argument("--name", default="", help="check that the code is for this agent")
    enroll.add_argument("--store", default="", metavar="NAME", help="what to call the store")
    token = enroll.add_argument_group("keys on a PKCS#11 token")
    token.add_argument("--pkcs11-module", metavar="PATH", help="the library of the token's maker")
    token.add_argument("--pkcs11-token", metavar="LABEL")
    card = enroll.add_argument_group("keys on a YubiKey")
    card.add_argument("--yubikey", metavar="SERIAL")
    card.add_argument("--management-key-file", type=Path, metavar="FILE")
    enroll.add_argument("--pin-file", type=Path, metavar="FILE", help="mode 0600, nothing but it")
    add_key_kinds(enroll, "ed25519 and ec-p256")
    names = enroll.add_argument_group("names that certificates may have; without any: all")
    for kind in ("dns", "email", "ip", "uri", "upn"):
        names.add_argument(f"--allow-{kind}", action="append", default=[], metavar="NAME")
    enroll.add_argument("--status", default="", metavar="HOST:PORT", help="turn on the status page")
    enroll.add_argument("--proxy", default="", metavar="URL", help="http://[USER@]HOST:PORT")
    enroll.add_argument(
        "--offline",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="FILE",
        help="write a file to be carried to the server (DIR/registration.bundle)",
    )
