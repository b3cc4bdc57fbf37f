"""``pikaserver agent drain | retire | allow | deny``: what agents and their keys may do."""

import click

from pikaserver.api.commands import console
from pikaserver_agents.commands.records import key_record
from pikaserver_agents.deeds import find_key
from pikaserver_agents.office import office_of


@click.command()
@click.argument("name")
@click.option("--off", is_flag=True, help="Let it sign again.")
def drain(name: str, *, off: bool) -> None:
    """Ask an agent for nothing new.

    What runs still ends, and its line stays.
    """
    desk = console()
    with desk.server() as server:
        state = office_of(server).deeds.drain(name, desk.actor, off=off)
    desk.write({"agent": name, "state": state})


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def retire(name: str, *, yes: bool) -> None:
    """Cut an agent off for good.

    Other agents with the same keys go on.
    """
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        office.directory.refresh().agent(name)
        if not yes:
            click.confirm(f"Cut agent {name} off for good?", abort=True, err=True)
        state = office.deeds.retire(name, desk.actor)
    desk.write({"agent": name, "state": state})


@click.command()
@click.argument("key", metavar="AGENT/KEY")
@click.option("--authority", multiple=True, metavar="NAME", help="The authority; may be repeated.")
@click.option("--any", "everybody", is_flag=True, help="Let every authority use it again.")
def allow(key: str, authority: tuple[str, ...], *, everybody: bool) -> None:
    """Keep a key for some authorities.

    Without this any authority may use it.
    """
    if everybody == bool(authority):
        raise click.UsageError("name one --authority or more, or --any")
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        row = find_key(office.directory.refresh(), key)
        if everybody:
            office.deeds.allow_all(row, desk.actor)
        else:
            office.deeds.allow(row, authority, desk.actor)
        desk.write(key_record(office.directory.refresh(), office.uses.refresh(), row))


@click.command()
@click.argument("key", metavar="AGENT/KEY")
@click.option("--authority", required=True, metavar="NAME", help="The authority.")
def deny(key: str, authority: str) -> None:
    """Take a key from an authority: it signs nothing more with it."""
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        row = find_key(office.directory.refresh(), key)
        office.deeds.deny(row, authority, desk.actor)
        desk.write(key_record(office.directory.refresh(), office.uses.refresh(), row))
