"""``hsm-agent pin``: secrets are typed, never given on a command line."""

import argparse
import getpass
import sys
from collections.abc import Mapping

from hsm_agent.cli.output import say
from hsm_agent.cli.reach import Do, reach
from hsm_agent.control.exit_codes import DONE
from hsm_agent.faults import AgentFault, NotThere

_KINDS = ("pkcs11", "piv")


def check(arguments: argparse.Namespace) -> int:
    """Try the configured PIN once."""
    return _do(arguments, "pin-check", {})


def initialise(arguments: argparse.Namespace) -> int:
    """Take a card off the factory's values."""
    secrets = {"pin": typed_twice("New PIN"), "puk": typed_twice("New PUK")}
    return _do(arguments, "pin-initialise", {**secrets, "on_card": arguments.on_card})


def change(arguments: argparse.Namespace) -> int:
    """Change the PIN of a card."""
    return _do(
        arguments, "pin-change", {"pin": typed("Present PIN"), "new": typed_twice("New PIN")}
    )


def unblock(arguments: argparse.Namespace) -> int:
    """Set a new PIN by the PUK."""
    return _do(arguments, "pin-unblock", {"puk": typed("PUK"), "new": typed_twice("New PIN")})


def typed(what: str) -> str:
    """Return a secret that a person types.

    Raises:
        AgentFault: there is no terminal, or nothing was typed.
    """
    if not sys.stdin.isatty():
        raise AgentFault(f"there is no terminal to ask at for the {what.lower()}")
    secret = getpass.getpass(f"{what}: ")
    if not secret:
        raise AgentFault("nothing was typed, so nothing was changed")
    return secret


def typed_twice(what: str) -> str:
    """Return a new secret, typed twice alike.

    Raises:
        AgentFault: there is no terminal, or both differ.
    """
    secret = typed(what)
    if secret != typed(f"{what} again"):
        raise AgentFault("that was typed differently, so nothing was changed")
    return secret


def _do(arguments: argparse.Namespace, deed: str, given: Mapping[str, object]) -> int:
    with reach(arguments.data) as do:
        store = arguments.store or _only_token(do)
        told = do(deed, store=store, **given)
    for sentence in told if isinstance(told, list) else []:
        say(f"{store}: {sentence}")
    return DONE


def _only_token(do: Do) -> str:
    stores = do("stores")
    found = [
        str(one["name"])
        for one in (stores if isinstance(stores, list) else [])
        if isinstance(one, Mapping) and one["kind"] in _KINDS
    ]
    if len(found) != 1:
        raise NotThere(f"name the store: {', '.join(found) or 'there is none with a PIN'}")
    return found[0]
