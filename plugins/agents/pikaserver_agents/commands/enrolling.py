"""``pikaserver agent enroll | approve | rotate``: how agents become known, and get new keys."""

import re
from datetime import timedelta

import click
import segno

from pikaserver.api.commands import Console, console
from pikaserver.api.server import Server
from pikaserver_agents.enrollment import CodeWish
from pikaserver_agents.moments import moment
from pikaserver_agents.office import office_of
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.storage.codes import Purpose

OFFLINE_VALIDITY = timedelta(days=7)
"""A code that is carried by hand lasts longer unless told otherwise."""
LONGEST_VALIDITY = timedelta(days=30)

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)


class Validity(click.ParamType[timedelta, object]):
    """``15m``, ``12h``, ``7d``."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read a number with its unit."""
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(str(value))
        duration = int(found[1]) * _UNITS[found[2]] if found else None
        if duration is None or duration > LONGEST_VALIDITY:
            self.fail(f"{value!r} is no duration like 15m, 12h or 7d, 30d at most", param, ctx)
        return duration


_validity = click.option(
    "--validity", type=Validity(), help="For how long the code is good.  [default: 15m]"
)


_old = click.option(
    "--classical",
    "old",
    is_flag=True,
    help="For an agent that cannot verify ML-DSA: name the nodes' oldest classical keys.",
)


@click.command()
@click.argument("name")
@click.option("--offline", is_flag=True, help="For an agent without a line: files are carried.")
@click.option("--confirm", is_flag=True, help="It may sign only after 'agent approve'.")
@_old
@_validity
def enroll(
    name: str, *, offline: bool, confirm: bool, old: bool, validity: timedelta | None
) -> None:
    """Make a code with which a new agent registers, once.

    Type it there: 'hsm-agent enroll CODE'.  It holds this server's addresses and keys, and a
    secret.  Afterwards 'agent show NAME' and the agent show the same digits: compare them.
    """
    desk = console()
    with desk.server() as server:
        if validity is None and offline:
            validity = OFFLINE_VALIDITY
        lasting = _lasting(server, validity)
        wish = CodeWish(name, Purpose.ENROLL, lasting, offline, confirm, old)
        _write(desk, server, wish)


@click.command()
@click.argument("name")
@_old
@_validity
def rotate(name: str, *, old: bool, validity: timedelta | None) -> None:
    """Make a code with which an agent registers new keys.

    It is for one that lost the keys of its line; an agent that still has them needs no code:
    'hsm-agent rotate' is enough.  The old ones count until the agent comes with the new ones.
    """
    desk = console()
    with desk.server() as server:
        row = office_of(server).directory.refresh().agent(name)
        lasting = _lasting(server, validity)
        wish = CodeWish(name, Purpose.ROTATE, lasting, row.by_hand, old=old)
        _write(desk, server, wish)


@click.command()
@click.argument("name")
def approve(name: str) -> None:
    """Let an agent in that enrolled with --confirm."""
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        state = office.deeds.approve(name, desk.actor)
        row = office.directory.refresh().agent(name)
    desk.write({"agent": name, "state": state, "comparison_words": row.words})


def _lasting(server: Server, validity: timedelta | None) -> timedelta:
    return validity or timedelta(minutes=server.settings(AgentSettings).code_validity)


def _write(desk: Console, server: Server, wish: CodeWish) -> None:
    code, expires_at = office_of(server).enrollments.make_code(wish, desk.actor)
    text = code.text()
    if desk.output == "table":
        click.echo(f"Within {wish.validity} on the agent's host, once:\n")
        offline = " --offline registration.bundle" if wish.offline else ""
        click.echo(f"  hsm-agent enroll {text}{offline} --data DIR\n")
        segno.make(text, error="l").terminal(compact=True)
        click.echo(f"\nThen compare the digits there with 'pikaserver agent show {wish.agent}'.")
        return
    desk.write(
        {
            "code": text,
            "agent": wish.agent,
            "purpose": wish.purpose,
            "expires_at": moment(expires_at),
            "addresses": list(code.addresses),
        }
    )
