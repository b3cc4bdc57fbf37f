"""``pikaserver agent bundle | register``: files for agents without a line."""

import os
from pathlib import Path

import click

from hsm_agent.wire.bundles import LARGEST_BUNDLE
from pikaserver.api.commands import console
from pikaserver.api.errors import MalformedRequest
from pikaserver_agents.office import office_of

UNHEALTHY = 6
_input = click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)
)


@click.group()
def bundle() -> None:
    """Carry requests to an agent without a line, and its answers back."""


@bundle.command()
@click.argument("name")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it.",
)
def export(name: str, out: Path) -> None:
    """Write everything that waits for an agent into a file.

    'hsm-agent offline FILE --out ANSWERS' answers it.
    """
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        octets, requests = office.bundles.export(name, office.asker.request_id(), desk.actor)
        _write(out, octets)
    desk.write({"agent": name, "file": str(out), "requests": requests})


@bundle.command("import")
@_input
@click.pass_context
def import_(context: click.Context, file: Path) -> None:
    """Take the answers from a file.  Then ask for the same again: the answer is there."""
    desk = console()
    octets = _read(file)
    with desk.server() as server:
        done = office_of(server).bundles.import_(octets, desk.actor)
    desk.write(
        {
            "agent": done.agent,
            "answers": done.answers,
            "unexpected": done.unexpected,
            "journal_lines": done.journal,
            "faults": done.faults,
        }
    )
    if done.faults:
        context.exit(UNHEALTHY)


@click.command()
@_input
def register(file: Path) -> None:
    """Register an agent without a line.

    FILE is what 'hsm-agent enroll CODE --offline FILE' wrote.
    """
    desk = console()
    octets = _read(file)
    with desk.server() as server:
        office = office_of(server)
        name = office.bundles.register(octets, office.enrollments)
        row = office.directory.refresh().agent(name)
    desk.write({"agent": name, "state": row.state, "comparison_words": row.words})


def _read(file: Path) -> bytes:
    with click.open_file(str(file), "rb") as opened:
        octets = bytes(opened.read(LARGEST_BUNDLE + 1))
    if len(octets) > LARGEST_BUNDLE:
        raise MalformedRequest(f"{file} is larger than any bundle")
    return octets


def _write(path: Path, octets: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(octets)
