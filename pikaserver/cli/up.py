"""``pikaserver up``, ``run`` and ``init``: from nothing to a server that answers."""

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from pikaserver.cli.invocation import Invocation
from pikaserver.cli.place import with_place
from pikaserver.cli.stopping import stopped_by_signals
from pikaserver.settings.loading import Flag

R = TypeVar("R")

_DEFAULTS = {
    "http": "127.0.0.1:8080",
    "https": "127.0.0.1:8443",
    "hostname": "localhost",
    "key": "ec-p256",
    "subject": "O=Pikaserver",
}


def _choices(function: Callable[..., R]) -> Callable[..., R]:
    """Let a command take what a first start asks."""
    options = (
        click.option("--yes", is_flag=True, help="Ask nothing; take the defaults."),
        click.option("--http", metavar="HOST:PORT", help="Where signed objects are served."),
        click.option("--https", metavar="HOST:PORT", help="Where devices enrol."),
        click.option("--hostname", metavar="NAME", help="The name by which clients reach it."),
        click.option("--key", metavar="TYPE", help="Key type of both authorities."),
        click.option("--subject", metavar="NAME", help="Their subject, without CN: 'O=Example'."),
        click.option("--plugins", metavar="A,B", help="The plugins to enable."),
        click.option(
            "--agents",
            metavar="HOST:PORT",
            help="Where signing agents are awaited.  [default: the port after that of --https]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return with_place(function)


@click.command()
@_choices
def up(data: Path | None, config: Path | None, **wishes: str | bool | None) -> None:
    """Set up what is not there yet, and serve.

    In an empty folder this makes a database, keys, a root and an issuing authority, templates
    and the server's own TLS certificate.
    """
    invocation = Invocation(data or Path("data"), config)
    if config is None:
        _set_up(invocation, wishes)
    _serve(invocation, _flags(wishes))


@click.command()
@_choices
def init(data: Path | None, config: Path | None, **wishes: str | bool | None) -> None:
    """Set up an empty folder like 'up', and stop there."""
    invocation = Invocation(data or Path("data"), config)
    if not _set_up(invocation, wishes):
        click.echo(f"{invocation.data} is set up already")


@click.command()
@with_place
def run(data: Path | None, config: Path | None) -> None:
    """Serve what is set up already; stop with Ctrl-C or SIGTERM."""
    _serve(Invocation(data, config), ())


def _set_up(invocation: Invocation, wishes: dict[str, str | bool | None]) -> bool:
    from pikaserver.first_start import FirstStart, is_set_up, set_up

    folder = invocation.data or Path("data")
    if is_set_up(folder):
        return False
    chosen = {name: _ask(name, wishes) for name in _DEFAULTS}
    names = str(wishes["plugins"] or "").replace(",", " ").split()
    click.echo(f"setting up {folder}: keys, two authorities, templates")
    set_up(
        FirstStart(
            data=folder,
            http=chosen["http"],
            https=chosen["https"],
            hostname=chosen["hostname"],
            key_type=chosen["key"],
            subject=chosen["subject"],
            plugins=tuple(names),
            agents=str(wishes["agents"] or ""),
        ),
        os.environ,
    )
    return True


def _ask(name: str, wishes: dict[str, str | bool | None]) -> str:
    given = wishes[name]
    if given is not None or wishes["yes"] or not os.isatty(0):
        return str(given or _DEFAULTS[name])
    answer: str = click.prompt(f"  {name}", default=_DEFAULTS[name])
    return answer


def _flags(wishes: dict[str, str | bool | None]) -> tuple[Flag, ...]:
    """Let the flags of a later start count over what the first one wrote."""
    places = {
        "http": ("listeners", "public", "bind"),
        "https": ("listeners", "devices", "bind"),
        "hostname": ("server", "hostname"),
        "agents": ("plugins", "agents", "bind"),
    }
    return tuple(
        Flag(place, wishes[name], f"--{name}") for name, place in places.items() if wishes[name]
    )


def _serve(invocation: Invocation, flags: tuple[Flag, ...]) -> None:
    from pikaserver.cli.welcome import welcome
    from pikaserver.logs import configure
    from pikaserver.opening import check_set_up, open_server
    from pikaserver.serving import RunningServer
    from pikaserver.storage.database import server_lock

    settings = invocation.settings(flags)
    check_set_up(settings)
    configure(settings.host.logs.format, settings.host.logs.level, sys.stderr)
    stop = threading.Event()
    with (
        stopped_by_signals(stop.set),
        server_lock(settings.host.data.directory),
        open_server(settings, os.environ) as server,
    ):
        running = RunningServer(server)
        running.start()
        # Everything up to here stays: a collection need not walk through it again and again.
        gc.freeze()
        try:
            for line in welcome(running, settings.host.data.directory):
                click.echo(line)
            stop.wait()
        finally:
            running.stop()
