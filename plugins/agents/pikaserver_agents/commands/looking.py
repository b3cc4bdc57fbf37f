"""``pikaserver agent list | show | keys | test | compare``: how agents are, and if they lie."""

from time import monotonic

import click

from pikaserver.api.commands import Record, console
from pikaserver.api.errors import PikaserverError
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver_agents.commands.records import (
    agent_details,
    agent_row,
    key_details,
    key_record,
)
from pikaserver_agents.deeds import find_key
from pikaserver_agents.dispatch import Wanted
from pikaserver_agents.office import Office, office_of
from pikaserver_agents.references import FoundKey
from pikaserver_agents.storage.keys import KeyRow
from pikaserver_agents.structures import PROOF, PROOF_LABEL, PROOF_OCTETS, sha256

DIFFERS = 6
FAILED = 1


@click.command("list")
def list_agents() -> None:
    """List the agents, and whether they are there."""
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        view = office.directory.refresh()
        desk.write([agent_row(office, view, row) for row in view.agents.values()])


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Show all that is known of an agent."""
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        view = office.directory.refresh()
        desk.write(agent_details(office, view, view.agent(name)))


@click.command()
@click.argument("name", required=False)
def keys(name: str | None) -> None:
    """List the keys of all agents, or of one."""
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        view, uses = office.directory.refresh(), office.uses.refresh()
        rows = view.keys if name is None else view.of_agent(view.agent(name).name)
        full = desk.output != "table"
        desk.write(
            [key_record(view, uses, row) | (key_details(row) if full else {}) for row in rows]
        )


@click.command()
@click.argument("name")
@click.argument("key", required=False)
@click.pass_context
def test(context: click.Context, name: str, key: str | None) -> None:
    """Let an agent prove that it has its keys.

    Shows for each how long a signature takes, or why there is none.
    """
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        view = office.directory.refresh()
        view.agent(name)
        rows = view.of_agent(name) if key is None else [find_key(view, f"{name}/{key}")]
        results = [_prove(office, row) for row in rows]
        desk.write(results)
    if not results or any(result["result"] != "signs" for result in results):
        context.exit(FAILED)


@click.command()
@click.argument("name")
@click.pass_context
def compare(context: click.Context, name: str) -> None:
    """Compare an agent's journal with our own history.

    That is what this server asked, its mirror of the journal, and what it issued.  Every
    difference is one line; then the command ends with 6.
    """
    desk = console()
    with desk.server() as server:
        found = office_of(server).comparison.compare(name)
    if desk.output == "table":
        for difference in found.differences:
            click.echo(difference)
        how = "" if found.source == "agent" else ", of our mirror: the agent cannot be asked now"
        click.echo(
            f"{len(found.differences)} differences: {found.lines} lines of the journal{how},"
            f" {found.requests} requests, {found.certificates} certificates"
        )
    else:
        desk.write(
            {
                "agent": found.agent,
                "source": found.source,
                "lines": found.lines,
                "requests": found.requests,
                "certificates": found.certificates,
                "differences": found.differences,
            }
        )
    if found.differences:
        context.exit(DIFFERS)


def _prove(office: Office, row: KeyRow) -> Record:
    """Ask for a signature over octets that mean nothing to anybody."""
    tbs = PROOF_LABEL + office.server.entropy(PROOF_OCTETS)
    began = monotonic()
    try:
        algorithm = default_algorithm(row.told.key_type)
        office.dispatcher.sign(
            Wanted(
                key=FoundKey(row.agent, row.spki_hash, row.told.public_key, (row,)),
                algorithm=algorithm,
                tbs=tbs,
                content=b"",
                authority="",
                purpose=PROOF,
                tbs_hash=sha256(tbs),
                only=row.agent,
            )
        )
    except PikaserverError as error:
        result = str(error)
    else:
        result = "signs"
    took = round((monotonic() - began) * 1000, 1)
    return {"key": f"agent:{row.agent}/{row.told.name}", "milliseconds": took, "result": result}
