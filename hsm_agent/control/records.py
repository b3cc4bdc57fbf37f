"""Keys, stores, lines and the like as records for people and programs: plain JSON values."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hsm_agent.approvals.records import Record as Pending
from hsm_agent.channel.keeper import LineView
from hsm_agent.identity.identity import Identity
from hsm_agent.journal.line import Line
from hsm_agent.wire.messages import Key, Mark, Node, Store

Json = Mapping[str, object]


def key_record(key: Key) -> Json:
    """Return a key; ``spki`` names it as policies do."""
    store, _, label = key.name.partition("/")
    return {
        "name": key.name,
        "store": store,
        "label": label,
        "key_type": key.key_type,
        "state": key.state,
        "trial": key.trial,
        "algorithms": list(key.algorithms),
        "spki": f"sha256:{hashlib.sha256(key.public_key).hexdigest()}",
        "certificate": f"sha256:{key.certificate.hex()}" if key.certificate else None,
        "attested": bool(key.attestation),
        "details": dict(key.details),
        "public_key": pem("PUBLIC KEY", key.public_key),
    }


def store_record(store: Store) -> Json:
    """Return a store with what can be made there."""
    return {
        "name": store.name,
        "kind": store.kind,
        "state": store.state,
        "free": list(store.free),
        "key_types": list(store.key_types),
        "details": dict(store.details),
    }


def line_record(line: LineView) -> Json:
    """Return how the line to a node is."""
    return {
        "node": line.number,
        "address": line.address,
        "state": line.state,
        "since": moment(line.since),
        "ping_age": None if line.ping_age < 0 else line.ping_age,
        "answered": line.answered,
        "refused": line.refused,
        "fault": line.fault,
    }


def channel_record(identity: Identity) -> Json:
    """Return of which kinds the keys are that the agent shows to nodes."""
    return {"tls": identity.kinds.tls, "frames": identity.kinds.frames}


def node_record(node: Node) -> Json:
    """Return a node with what is pinned of it."""
    return {
        "node": node.number,
        "address": node.address,
        "pin": f"sha256:{node.pin.hex()}",
        "frame_key": node.frame_key.hex(),
    }


def pending_record(pending: Pending) -> Json:
    """Return octets that wait for approval."""
    return {
        "id": pending.approval.hex(),
        "key": pending.key_name,
        "kind": pending.kind,
        "since": moment(pending.since),
        "expires": moment(pending.expires),
        "need": pending.need,
        "of": list(pending.of),
        "approved_by": [proof.by for proof in pending.proofs],
        "statement": pending.statement.decode(errors="replace"),
        "text": pending.text,
    }


def operation_record(mark: Mark, line: Line) -> Json:
    """Return a line of the journal without what only chains it."""
    told = {name: value for name, value in line.items() if name not in {"prev", "i", "ts"}}
    at = line.get("ts")
    return {"line": mark.index, "at": moment(at if isinstance(at, int) else 0), **told}


def moment(milliseconds: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def pem(label: str, der: bytes) -> str:
    """Return octets as PEM (RFC 7468)."""
    text = base64.b64encode(der).decode()
    lines: Sequence[str] = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
