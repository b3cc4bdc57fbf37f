"""``hsm-agent approvals``, ``approve`` and ``decline``: a person decides about octets."""

import argparse
import base64
import sys
from collections.abc import Mapping

from hsm_agent.cli.output import printable, say, write_json, write_record, write_rows
from hsm_agent.cli.reach import Do, reach
from hsm_agent.control.exit_codes import DONE, REFUSED
from hsm_agent.faults import AgentFault, NotThere
from hsm_agent.private_files import write_private

_HIDDEN = ("statement", "text")


def listing(arguments: argparse.Namespace) -> int:
    """List what waits."""
    with reach(arguments.data) as do:
        waiting = do("approvals")
    columns = ("id", "key", "kind", "since", "need", "of", "approved_by")
    write_rows(waiting, columns, arguments.output, "Nothing waits for approval.")
    return DONE


def show(arguments: argparse.Namespace) -> int:
    """Show what waits under an id, decoded."""
    with reach(arguments.data) as do:
        record = _waiting(do, arguments.id)
        if arguments.octets is not None:
            octets = do("approval-octets", id=arguments.id)
            write_private(arguments.octets, base64.b64decode(str(octets)))
    if arguments.statement:
        sys.stdout.write(str(record["statement"]))
    elif arguments.output == "json":
        write_json(record)
    else:
        _show(record)
    return DONE


def approve(arguments: argparse.Namespace) -> int:
    """Approve what waits, as the operator of this host or by somebody's signature."""
    proof = b"" if arguments.proof is None else arguments.proof.read_bytes()
    kind = "local" if arguments.proof is None else arguments.kind
    with reach(arguments.data) as do:
        record = _waiting(do, arguments.id)
        if kind == "local" and not arguments.yes and not _agreed(record):
            say("Nothing was approved.")
            return REFUSED
        encoded = base64.b64encode(proof).decode()
        approved = do("approve", id=record["id"], kind=kind, proof=encoded)
    write_record(approved, arguments.output, hidden=_HIDDEN)
    return DONE


def decline(arguments: argparse.Namespace) -> int:
    """Refuse what waits, for good."""
    with reach(arguments.data) as do:
        write_record(do("decline", id=arguments.id), arguments.output)
    return DONE


def _waiting(do: Do, beginning: str) -> Mapping[str, object]:
    record = do("approval", id=beginning)
    if not isinstance(record, Mapping):
        raise NotThere(f"{beginning!r}: nothing of that hash waits")
    return record


def _show(record: Mapping[str, object]) -> None:
    write_record(record, "table", hidden=_HIDDEN)
    say()
    for line in str(record["text"]).splitlines():
        say(printable(line))


def _agreed(record: Mapping[str, object]) -> bool:
    """Show what would be approved, and ask."""
    if not sys.stdin.isatty():
        raise AgentFault("there is no terminal to ask at: look at it first, then use --yes")
    _show(record)
    return input("\nApprove exactly this? Type yes: ").strip() == "yes"
