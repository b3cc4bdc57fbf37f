"""Every command with its options; what a command does is imported when it was typed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hsm_agent.cli.enroll_options import add_enroll_options, add_key_kinds
from hsm_agent.control.exit_codes import USAGE
from hsm_agent.software import software

DATA = Path("/var/lib/hsm-agent")
FORMATS = ("table", "json")
_EPILOG = (
    "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not found, 4 unavailable now,"
    " 5 settings, 6 unhealthy, 7 conflict, 8 waiting for approval."
)


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Leave with the exit code of wrong usage."""
        sys.stderr.write(f"{self.prog}: {message}; see '{self.prog} --help'\n")
        raise SystemExit(USAGE)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line.

    Raises:
        SystemExit: help was asked for, or the usage is wrong.
    """
    arguments = argparse.Namespace(data=DATA, output="table", debug=False)
    parser = Parser("hsm-agent", description=_ABOUT, epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=software())
    _commands(parser)
    return parser.parse_args(words, arguments)


_ABOUT = (
    "A signing agent: keys on tokens of this host sign for a server, under a policy of its own."
)


class Commands:
    """Adds commands; all take ``--data`` and ``--debug``, most ``-o``."""

    def __init__(self, parser: Parser, module: str, *, required: bool = True) -> None:
        self._module = module
        self._parsers = parser.add_subparsers(
            metavar="COMMAND", required=required, parser_class=Parser, title="commands"
        )

    def add(self, name: str, about: str, *, target: str = "", output: bool = True) -> Parser:
        """Add a command; ``target`` is ``module:function`` below ``hsm_agent.cli``."""
        command = self._parsers.add_parser(
            name, help=about, description=f"{about}.", allow_abbrev=False
        )
        add_shared(command, output=output)
        module, _, function = target.partition(":")
        where = f"hsm_agent.cli.{module or self._module or name}"
        command.set_defaults(target=f"{where}:{function or name}")
        return command


def add_shared(command: Parser, *, output: bool) -> None:
    """Add what all commands take; where it is left out, what stood further left counts."""
    missing = argparse.SUPPRESS
    command.add_argument(
        "--data", type=Path, metavar="DIR", default=missing, help=f"the agent's folder ({DATA})"
    )
    command.add_argument(
        "--debug", action="store_true", default=missing, help="show where an error comes from"
    )
    if output:
        command.add_argument(
            "-o", "--output", choices=FORMATS, default=missing, help="how to write what was found"
        )


def _commands(parser: Parser) -> None:
    commands = Commands(parser, "")
    commands.add("run", "Keep lines to the server and sign, until SIGTERM", output=False)
    add_enroll_options(commands.add("enroll", "Register this agent with a code of the server"))
    _keys(commands.add("keys", "Keys: list, generate, import, certificate", target="keys:listing"))
    commands.add("slots", "The stores, and where a new key could go", target="keys:slots")
    _provision(commands.add("provision", "Make a key here, step by step", output=False))
    _policy(commands.add("policy", "The policy file: check", target=":none"))
    _approvals(commands)
    _journal(commands.add("journal", "The journal: verify, export, show", target=":none"))
    _offline(commands.add("offline", "Answer a bundle of requests that was carried here"))
    rotate = commands.add(
        "rotate", "Give this agent new keys for its lines", target="status:rotate"
    )
    add_key_kinds(rotate, "those of before")
    commands.add("status", "How the agent is: lines, stores, keys, policy, journal")
    _pin(commands.add("pin", "PINs of tokens: check, change, unblock", target=":none"))
    commands.add("doctor", "Look for what is wrong or will be soon")
    commands.add("version", "Print what runs here", target="status:version")


def _keys(keys: Parser) -> None:
    keys.add_argument("--refresh", action="store_true", help="look into the tokens again first")
    commands = Commands(keys, "keys", required=False)
    commands.add("list", "List the keys", target="keys:listing").add_argument(
        "--refresh", action="store_true", help="look into the tokens again first"
    )
    generate = commands.add("generate", "Make a key that never leaves its store")
    generate.add_argument("name", metavar="NAME", help="LABEL or STORE/LABEL")
    generate.add_argument("--type", dest="key_type", default="ec-p256", metavar="TYPE")
    bring = commands.add("import", "Take a private key from a file", target="keys:bring")
    bring.add_argument("name", metavar="NAME", help="LABEL or STORE/LABEL")
    bring.add_argument("file", type=Path, metavar="FILE", help="PKCS#8, PEM or DER")
    bring.add_argument("--passphrase-file", type=Path, metavar="FILE")
    for command in (generate, bring):
        command.add_argument("--profile", default="", help="the policy's rules for it")
        command.add_argument("--pin-policy", default="", metavar="never|once|always")
        command.add_argument("--touch-policy", default="", metavar="never|always|cached")
    certificate = commands.add("certificate", "Show or set the authority's certificate of a key")
    certificate.add_argument("name", metavar="KEY")
    certificate.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the chain, PEM")


def _provision(provision: Parser) -> None:
    provision.add_argument("--store", default="", help="do not ask for the store")
    provision.add_argument("--label", default="", help="do not ask for label or slot")
    provision.add_argument("--type", dest="key_type", default="", help="do not ask for the type")
    provision.add_argument("--profile", default=None, help="do not ask for the rules")
    provision.add_argument("--yes", action="store_true", help="do not ask whether to go on")


def _policy(policy: Parser) -> None:
    check = Commands(policy, "policy").add("check", "Say what a policy file allows, and warn")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="instead of the agent's")


def _approvals(commands: Commands) -> None:
    approvals = commands.add("approvals", "What waits for approval: list, show")
    approvals.set_defaults(target="hsm_agent.cli.approvals:listing")
    inner = Commands(approvals, "approvals", required=False)
    inner.add("list", "List what waits", target="approvals:listing")
    show = inner.add("show", "Show what waits under an id, decoded")
    show.add_argument("id", metavar="ID")
    show.add_argument("--statement", action="store_true", help="only what approvers sign")
    show.add_argument("--octets", type=Path, metavar="FILE", help="write the octets to a file")
    approve = commands.add("approve", "Approve what waits", target="approvals:approve")
    approve.add_argument("id", metavar="ID", help="or enough of its beginning")
    approve.add_argument("--proof", type=Path, metavar="FILE", help="somebody else's signature")
    approve.add_argument("--kind", choices=("ssh", "ed25519", "webauthn"), default="ssh")
    approve.add_argument("--yes", action="store_true", help="do not ask")
    decline = commands.add("decline", "Refuse what waits, for good", target="approvals:decline")
    decline.add_argument("id", metavar="ID")


def _journal(journal: Parser) -> None:
    commands = Commands(journal, "journal")
    commands.add("verify", "Read it all again: is every line there, and as it was")
    export = commands.add("export", "Write lines to a file", output=False)
    export.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")
    export.add_argument("--first", type=int, default=1, metavar="N")
    export.add_argument("--last", type=int, default=0, metavar="N", help="0 is the newest")
    show = commands.add("show", "Show the newest lines")
    show.add_argument("-n", "--lines", type=int, default=20, metavar="N")


def _offline(offline: Parser) -> None:
    offline.add_argument("bundle", type=Path, metavar="BUNDLE")
    offline.add_argument("--out", type=Path, required=True, metavar="FILE", help="the answers")


def _pin(pin: Parser) -> None:
    commands = Commands(pin, "pin")
    texts = {
        "check": "Try the configured PIN of a token once, because a person asks",
        "initialise": "Take a card off the factory's PIN, PUK and management key",
        "change": "Change the PIN of a card",
        "unblock": "Set a new PIN by the PUK",
    }
    for name, about in texts.items():
        command = commands.add(name, about, output=False)
        command.add_argument("store", nargs="?", default="", metavar="STORE")
        if name == "initialise":
            where = "keep the management key on the card, behind the PIN, not in a file"
            command.add_argument("--on-card", action="store_true", help=where)
