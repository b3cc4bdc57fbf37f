"""``hsm-agent provision``: from a store to a key that an authority can be made with."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from hsm_agent.cli.keys import show_key
from hsm_agent.cli.output import cell, say, write_rows
from hsm_agent.cli.reach import Do, reach
from hsm_agent.control.exit_codes import DONE, REFUSED
from hsm_agent.faults import AgentFault, NotThere

Ask = Callable[[str], str]
_NO_PROFILE = "none"


def provision(arguments: argparse.Namespace) -> int:
    """Show what is here, ask what is wanted, make the key, and say how to go on."""
    with reach(arguments.data) as do:
        status = _mapping(do("status"))
        _show(status)
        store = _store(status, arguments)
        label = arguments.label or _label(store)
        key_type = arguments.key_type or _pick("Key type", _texts(store["key_types"]), "ec-p256")
        profile = _profile(status, arguments)
        name = f"{store['name']}/{label}"
        rules = profile or "no rules yet"
        say(f"\nA key {name} of type {key_type}, under {rules}.")
        if not arguments.yes and ask("Make it? Type yes: ") != "yes":
            say("Nothing was made.")
            return REFUSED
        key = _make(do, name, key_type, profile)
    show_key(key, "table")
    say("\nAt the server, an authority with this key is made by:")
    say(f"  pikaserver ca create NAME --key agent:{status['name']}/{name} --key-type {key_type}")
    return DONE


def ask(question: str) -> str:
    """Ask the person at the terminal.

    Raises:
        AgentFault: there is none.
    """
    if not sys.stdin.isatty():
        raise AgentFault("there is no terminal to ask at: give --store, --label, --type and --yes")
    return input(question).strip()


def _make(do: Do, name: str, key_type: str, profile: str) -> object:
    return do("generate", name=name, key_type=key_type, profile=profile)


def _show(status: Mapping[str, object]) -> None:
    say(f"Agent {cell(status['name'])}. Keys that are here, made from afar or locally:")
    write_rows(status["keys"], ("name", "key_type", "state", "certificate"), "table", "  none")
    say("\nWaiting for somebody's approval:")
    write_rows(status["approvals"], ("id", "key", "kind", "since"), "table", "  nothing")
    say("\nStores:")
    write_rows(status["stores"], ("name", "kind", "state", "free", "details"), "table", "  none")
    say()


def _store(status: Mapping[str, object], arguments: argparse.Namespace) -> Mapping[str, object]:
    stores = {str(_mapping(one)["name"]): _mapping(one) for one in _list(status["stores"])}
    name = arguments.store or _pick("Store", list(stores))
    if name not in stores:
        raise NotThere(f"{name!r} is no store here; there is {', '.join(stores)}")
    if stores[name]["state"] != "ready":
        raise AgentFault(f"the store {name} is {stores[name]['state']}")
    return stores[name]


def _label(store: Mapping[str, object]) -> str:
    free = _texts(store["free"])
    return ask("Label of the key: ") if free == ["any"] else _pick("Slot", free)


def _profile(status: Mapping[str, object], arguments: argparse.Namespace) -> str:
    profiles = _texts(_mapping(status["policy"])["profiles"])
    if arguments.profile is None:
        chosen = _pick("Rules of the policy", [*profiles, _NO_PROFILE])
        return "" if chosen == _NO_PROFILE else chosen
    return str(arguments.profile)


def _pick(what: str, choices: Sequence[str], usual: str = "") -> str:
    """Return one of several, by its number or name; a single one is not asked for."""
    if not choices:
        raise NotThere(f"{what}: there is none to choose")
    if len(choices) == 1:
        return choices[0]
    for number, choice in enumerate(choices, 1):
        say(f"  {number:3} {choice}{'  (usual)' if choice == usual else ''}")
    answer = ask(f"{what}: ") or usual
    if answer.isdecimal() and 0 < int(answer) <= len(choices) and answer not in choices:
        return choices[int(answer) - 1]
    if answer not in choices:
        raise NotThere(f"{answer!r} is none of them")
    return answer


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _texts(value: object) -> list[str]:
    return [str(one) for one in _list(value)]
