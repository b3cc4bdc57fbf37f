"""Agents and keys as records: a few columns for a table, all for programs."""

from hsm_agent.wire.frame_kinds import ED25519, frame_kind, frame_pin
from pikaserver.api.commands import Record
from pikaserver_agents.authority_uses import Uses
from pikaserver_agents.channel_keys import channel_kinds
from pikaserver_agents.directory import View
from pikaserver_agents.moments import moment
from pikaserver_agents.office import Office
from pikaserver_agents.storage.agents import AgentRow
from pikaserver_agents.storage.approvals import ApprovalRow
from pikaserver_agents.storage.keys import KeyRow, StoreRow
from pikaserver_agents.storage.node_keys import FIRST

EVERYBODY = "everybody"


def agent_row(office: Office, view: View, row: AgentRow) -> Record:
    """Return the columns of a list."""
    return {
        "agent": row.name,
        "state": row.state,
        "connected": office.whereabouts.is_up(row.name),
        "keys": len(view.of_agent(row.name)),
        "channel": _channel(row),
        "last_seen": moment(row.last_seen),
        "software": row.software,
    }


def agent_details(office: Office, view: View, row: AgentRow) -> dict[str, object]:
    """Return all that is known of an agent."""
    links = office.whereabouts.linked().get(row.name, ())
    return {
        "agent": row.name,
        "state": row.state,
        "why": row.why or None,
        "connected": bool(links) or office.lines.get(row.name) is not None,
        "nodes": [link.node for link in links],
        "comparison_words": row.words,
        "pin": f"sha256:{row.identity.pin.hex()}",
        "frame_key": _pin_text(row.identity.frame_key),
        "channel": _channel(row),
        "knows_nodes_by": [
            f"node {key.node.number}: {key.kinds.tls} {key.kinds.frames}, {key.generation}"
            for key in view.node_keys
            if view.known.get((row.name, key.node.number), FIRST) == key.generation
        ],
        "rotating": row.following is not None,
        "policy": f"sha256:{row.policy.hex()}" if row.policy else None,
        "software": row.software,
        "journal_lines": row.mark.index,
        "journal_head": row.mark.head.hex(),
        "mirrored_lines": row.mirrored.index,
        "enrolled_at": moment(row.enrolled_at),
        "last_seen": moment(row.last_seen),
        "stores": [store_text(one) for one in view.stores if one.agent == row.name],
        "keys": [one.told.name for one in view.of_agent(row.name)],
        "attestations": [
            f"{one.told.name}: {told}"
            for one in view.of_agent(row.name)
            if (told := one.told.details.get("attestation"))
        ],
    }


def _channel(row: AgentRow) -> str:
    """Return of which kinds an agent's keys are, for TLS and for frames."""
    return " ".join(channel_kinds(row.identity.certificate, row.identity.frame_key))


def _pin_text(frame_key: bytes) -> str:
    """Return an Ed25519 key in hexadecimal, of any other its kind and its hash."""
    kind = frame_kind(frame_key).name
    if kind == ED25519:
        return frame_key.hex()
    return f"{kind}:{frame_pin(frame_key).removeprefix(f'{kind}:'.encode()).hex()}"


def store_text(row: StoreRow) -> str:
    """Return a store in a few words."""
    told = row.told
    details = ", ".join(f"{name} {value}" for name, value in sorted(told.details.items()))
    return f"{told.name}: {told.kind}, {told.state}" + (f" ({details})" if details else "")


def key_record(view: View, uses: Uses, row: KeyRow) -> dict[str, object]:
    """Return the columns of a key."""
    allowed = view.allowed.get(row.spki_hash)
    return {
        "key": f"agent:{row.agent}/{row.told.name}",
        "type": row.told.key_type,
        "state": row.told.state,
        "authorities": sorted({use.authority for use in uses.of(row.spki_hash)}),
        "kept_for": EVERYBODY if allowed is None else sorted(allowed),
        "trial": row.told.trial,
        "spki": f"sha256:{row.spki_hash.hex()}",
    }


def key_details(row: KeyRow) -> dict[str, object]:
    """Return what else an agent tells of a key."""
    return {
        "algorithms": list(row.told.algorithms),
        "certificate": row.told.certificate.hex() or None,
        "attestation": [one.hex() for one in row.told.attestation],
        "details": dict(row.told.details),
    }


def approval_record(view: View, row: ApprovalRow) -> Record:
    """Return the columns of what waits for approvals."""
    keys = [key.told.name for key in view.holders(row.spki_hash) if key.agent == row.agent]
    return {
        "approval": row.approval.hex(),
        "agent": row.agent,
        "key": keys[0] if keys else None,
        "purpose": row.purpose,
        "since": moment(row.since),
        "why": row.why,
    }
