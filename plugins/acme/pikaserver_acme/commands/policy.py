"""``acme policy``: who may get what in which directory, and how it is proved."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

import click

from pikaserver.api.commands import Record, console
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver_acme.office import Office, office
from pikaserver_acme.policies.rules import (
    LOOPBACK,
    POLICY_NAME,
    PRIVATE,
    PolicyRules,
    read_rules,
)
from pikaserver_acme.records import Policy

R = TypeVar("R")
Wishes = dict[str, object]

CHALLENGES = (
    "http-01",
    "dns-01",
    "tls-alpn-01",
    "dns-account-01",
    "dns-persist-01",
    "device-attest-01",
)


@click.group()
def policy() -> None:
    """Decide who may get what in which directory, and how it is proved.

    Patterns are names, '*.example.com' for all names below, networks like 10.0.0.0/8, or '*'.
    """


_RULES = (
    click.option("--template", metavar="NAME", help="What is issued."),
    click.option("--description", metavar="TEXT", help="For people."),
    click.option("--allow", multiple=True, metavar="PATTERN", help="What may be asked for."),
    click.option("--deny", multiple=True, metavar="PATTERN", help="What never may."),
    click.option("--pre-approve", is_flag=True, help="Whatever is allowed needs no challenge."),
    click.option(
        "--pre-approved", multiple=True, metavar="PATTERN", help="What needs no challenge."
    ),
    click.option(
        "--challenge",
        "challenges",
        multiple=True,
        type=click.Choice(CHALLENGES),
        help="How names are proved.  [default: http-01, dns-01, tls-alpn-01]",
    ),
    click.option(
        "--eab",
        type=click.Choice(["none", "optional", "required"]),
        help="Whether accounts are bound to a registration.  [default: optional]",
    ),
    click.option("--profile", multiple=True, metavar="NAME=TEMPLATE", help="A named choice."),
    click.option("--http-port", type=int, metavar="N", help="Where http-01 looks."),
    click.option("--https-port", type=int, metavar="N", help="Where it may be sent on to."),
    click.option("--tls-port", type=int, metavar="N", help="Where tls-alpn-01 looks."),
    click.option("--dns", multiple=True, metavar="HOST:PORT", help="A resolver to ask."),
    click.option(
        "--reach",
        "reachable",
        multiple=True,
        metavar="NETWORK",
        help="What validation reaches besides public addresses.  [default: private ranges]",
    ),
    click.option(
        "--reach-directly",
        "reachable_directly",
        multiple=True,
        metavar="NETWORK",
        help="What it reaches where the name itself leads there, but by no redirect.  [default:"
        " nothing; loopback where a --dns there, --http-port or --tls-port is said without any"
        " --reach]",
    ),
    click.option(
        "--caa", "caa_identities", multiple=True, metavar="DOMAIN", help="Our name in CAA."
    ),
    click.option("--terms", "terms_of_service", metavar="URL", help="To be agreed to."),
    click.option("--website", metavar="URL", help="About this directory."),
    click.option(
        "--set",
        "further",
        multiple=True,
        metavar="KEY=JSON",
        help="Any other rule, as 'policy show' writes it: limits.pending-authorizations=50.",
    ),
)


def _rules(function: Callable[..., R]) -> Callable[..., R]:
    """Let a command take the rules of a policy."""
    for option in reversed(_RULES):
        function = option(function)
    return function


@policy.command()
@click.argument("name")
@_rules
def create(name: str, **wishes: object) -> None:
    """Make a policy; its directory is there at once."""
    if not wishes["template"]:
        raise click.UsageError("--template is missing: what is issued")
    with console().server() as server:
        here = office(server)
        if any(one.name == name for one in here.policies.all()):
            raise Conflict(
                f"there is an ACME policy {name!r} already; 'acme policy set' changes it"
            )
        _check_name(name)
        found = here.policies.put(name, _wanted({}, wishes), console().actor)
        console().write(_record(here, found))


@policy.command("set")
@click.argument("name")
@_rules
def change(name: str, **wishes: object) -> None:
    """Change a policy.

    What is not said stays as it is; a list is replaced as a whole.
    """
    with console().server() as server:
        here = office(server)
        present = here.policies.get(name).rules.model_dump(mode="json", by_alias=True)
        found = here.policies.put(name, _wanted(present, wishes), console().actor)
        console().write(_record(here, found))


@policy.command("list")
def list_policies() -> None:
    """List the policies and their directories."""
    with console().server() as server:
        here = office(server)
        records = [
            {
                "name": one.name,
                "state": "open" if one.enabled else "closed",
                "template": one.rules.template,
                "directory": _directory(here, one.name),
                "eab": one.rules.eab,
                "challenges": list(one.rules.challenges),
            }
            for one in here.policies.all()
        ]
    console().write(records)


@policy.command()
@click.argument("name")
def show(name: str) -> None:
    """Show every rule of a policy."""
    with console().server() as server:
        here = office(server)
        console().write(_record(here, here.policies.get(name)))


@policy.command()
@click.argument("name")
def close(name: str) -> None:
    """Close a directory.

    Nobody gets anything there until it is opened again.
    """
    _set_enabled(name, enabled=False)


@policy.command("open")
@click.argument("name")
def open_again(name: str) -> None:
    """Open a directory that was closed."""
    _set_enabled(name, enabled=True)


def _set_enabled(name: str, *, enabled: bool) -> None:
    with console().server() as server:
        here = office(server)
        found = here.policies.set_enabled(name, console().actor, enabled=enabled)
        console().write(_record(here, found))


def _wanted(present: Mapping[str, object], wishes: Mapping[str, object]) -> PolicyRules:
    rules: Wishes = dict(present)
    for name, value in wishes.items():
        if name in {"pre_approve", "profile", "further"} or value in (None, ()):
            continue
        rules[name.replace("_", "-")] = value
    if wishes["pre_approve"]:
        rules["pre-approved"] = ["*"]
    profiles = dict(_profiles(wishes["profile"]))
    if profiles:
        rules["profiles"] = profiles
    further = dict(_further(wishes["further"]))
    for key, value in further.items():
        _put(rules, key, value)
    found = read_rules(rules)
    said = {name for name, value in wishes.items() if value not in (None, ())} | further.keys()
    if not _finds_clients_here(found, {name.replace("-", "_") for name in said}):
        return found
    click.echo(
        f"note: clients on this host may be validated: reachable-directly is {' '.join(LOOPBACK)};"
        " --reach or --set reachable-directly=[] says otherwise",
        err=True,
    )
    return read_rules({**rules, "reachable-directly": LOOPBACK})


def _finds_clients_here(found: PolicyRules, said: Collection[str]) -> bool:
    """Tell whether who typed this has clients on loopback, and said nothing of what is reached."""
    named = any(one in said for one in ("dns", "http_port", "tls_port"))
    reach = any(one in said for one in ("reachable", "reachable_directly"))
    unsaid = found.reachable == PRIVATE and not found.reachable_directly
    return found.tests_here and named and not reach and unsaid


def _profiles(texts: object) -> Iterator[tuple[str, Mapping[str, str]]]:
    for text in _texts(texts):
        name, _, template = text.partition("=")
        if not name or not template:
            raise click.UsageError(f"--profile {text!r} is to be NAME=TEMPLATE")
        yield name, {"template": template}


def _further(texts: object) -> Iterator[tuple[str, object]]:
    for text in _texts(texts):
        key, sign, value = text.partition("=")
        if not key or not sign:
            raise click.UsageError(f"--set {text!r} is to be KEY=JSON")
        try:
            yield key, json.loads(value)
        except ValueError:
            yield key, value  # a word that needs no quotes


def _texts(found: object) -> Iterator[str]:
    if isinstance(found, tuple):
        yield from map(str, found)


def _put(rules: Wishes, key: str, value: object) -> None:
    """Set a rule, or one inside a table of rules: ``limits.pending-authorizations``."""
    head, _, tail = key.partition(".")
    if not tail:
        rules[head] = value
        return
    table = rules.get(head)
    inner: Wishes = dict(table) if isinstance(table, Mapping) else {}
    _put(inner, tail, value)
    rules[head] = inner


def _check_name(name: str) -> None:
    if not POLICY_NAME.fullmatch(name):
        raise RequestRejected(
            "a policy is named by up to 64 lower-case letters, digits and hyphens"
        )


def _directory(here: Office, name: str) -> str | None:
    base = here.server.base_url("acme")
    return None if base is None else here.door.default_places(name).directory


def _record(here: Office, found: Policy) -> Record:
    return {
        "name": found.name,
        "state": "open" if found.enabled else "closed",
        "directory": _directory(here, found.name),
        **{
            name.replace("-", "_"): value
            for name, value in found.rules.model_dump(mode="json", by_alias=True).items()
        },
    }
