"""``pikaserver agent approvals | approve-signature``: octets that people have to agree to."""

from pathlib import Path

import click

from hsm_agent.wire.messages import Approve, Refused
from pikaserver.api.commands import console
from pikaserver.api.errors import Conflict, MalformedRequest, NotFound
from pikaserver_agents.commands.records import approval_record
from pikaserver_agents.directory import View
from pikaserver_agents.office import office_of
from pikaserver_agents.refusing import as_error

HASH_OCTETS = 32
SECONDS = 20.0
LARGEST_PROOF = 64 * 1024
KINDS = ("ssh", "ed25519", "webauthn")


@click.command()
def approvals() -> None:
    """List what waits at agents until people approve it."""
    desk = console()
    with desk.server() as server:
        view = office_of(server).directory.refresh()
        desk.write([approval_record(view, row) for row in view.approvals.values()])


@click.command("approve-signature")
@click.argument("approval", metavar="HASH")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="What the proof is.")
@click.option(
    "--proof",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
    metavar="FILE",
    help="The proof: an SSH signature, 64 octets of Ed25519, or a WebAuthn assertion.",
)
@click.option("--agent", "name", metavar="NAME", help="Who has the octets, if it is not known.")
def approve_signature(approval: str, kind: str, proof: Path, name: str | None) -> None:
    """Hand somebody's approval to the agent.

    The agent alone decides whether it counts.  HASH is the SHA-256 that 'agent approvals' lists.
    Then ask for the same again: whoever
    wanted the signature gets it.
    """
    digest = _digest(approval)
    with click.open_file(str(proof), "rb") as file:
        octets = file.read(LARGEST_PROOF + 1)
    if len(octets) > LARGEST_PROOF:
        raise MalformedRequest(f"{proof} is larger than any proof")
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        agent = name or _holder(office.directory.refresh(), digest)
        answer = office.asker.ask(
            agent,
            lambda request_id, expires: Approve(request_id, digest, kind, octets, expires),
            SECONDS,
        )
        with server.database.transaction() as connection:
            server.audit.record(
                connection,
                "agent.approval-given",
                desk.actor,
                agent=agent,
                approval=digest.hex(),
                kind=kind,
                refused=answer.code if isinstance(answer, Refused) else None,
            )
    if isinstance(answer, Refused):
        raise as_error(agent, answer)
    desk.write({"approval": digest.hex(), "agent": agent, "state": "taken"})


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text.removeprefix("sha256:"))
    except ValueError:
        digest = b""
    if len(digest) != HASH_OCTETS:
        raise click.UsageError(f"{text!r} is not a SHA-256 in hex")
    return digest


def _holder(view: View, digest: bytes) -> str:
    row = view.approvals.get(digest)
    if row is not None:
        return row.agent
    if not view.agents:
        raise NotFound("there are no agents")
    raise Conflict(f"nobody knows who has the octets of {digest.hex()}: add --agent NAME")
