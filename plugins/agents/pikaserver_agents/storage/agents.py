"""The agents: who they are, in which state, and how far their journals are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from hsm_agent.wire.messages import Mark
from pikaserver.api.prepared import Prepared
from pikaserver_agents.storage import marks, revisions
from pikaserver_agents.storage.marks import Known
from pikaserver_agents.storage.tables import agent


class AgentState(StrEnum):
    """What an agent may do."""

    WAITING = "waiting"
    """Enrolled, and waiting for somebody to approve that."""
    ENROLLED = "enrolled"
    DRAINING = "draining"
    """Connected, but asked for nothing."""
    OFFLINE = "offline"
    """Without a line; bundles are carried to it."""
    LOCKED = "locked"
    """Its journal contradicts what is known of it."""
    RETIRED = "retired"


MAY_CONNECT = frozenset({AgentState.ENROLLED, AgentState.DRAINING})


@dataclass(frozen=True, slots=True)
class Identity:
    """By what an agent is known: SHA-256 of its TLS key, its certificate (DER), its frame key."""

    pin: bytes
    certificate: bytes
    frame_key: bytes


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent; ``following`` is the identity that a rotation announced.

    ``by_hand`` says that it has no line: bundles are carried to it.
    ``mark`` is the newest that it told of its journal, ``mirrored`` how far we hold its lines.
    """

    name: str
    state: AgentState
    why: str
    by_hand: bool
    identity: Identity
    following: Identity | None
    words: str
    software: str
    policy: bytes
    mark: Mark
    mirrored: Mark
    enrolled_at: int
    last_seen: int


_ROWS = select(
    agent.c.name,
    agent.c.state,
    agent.c.why,
    agent.c.by_hand,
    agent.c.pin,
    agent.c.certificate,
    agent.c.frame_key,
    agent.c.next_pin,
    agent.c.next_certificate,
    agent.c.next_frame_key,
    agent.c.words,
    agent.c.software,
    agent.c.policy,
    agent.c.enrolled_at,
    agent.c.last_seen,
).order_by(agent.c.name)
_NAMES = _ROWS.selected_columns.keys()
_BY_NAME = Prepared(_ROWS.where(agent.c.name == bindparam("of_name")))


def list_all(connection: Connection) -> Sequence[AgentRow]:
    """Return all agents by name, retired ones too."""
    known = marks.list_all(connection)
    rows = connection.execute(_ROWS).mappings()
    return [_row(row, known.get(row["name"], Known())) for row in rows]


def find(connection: Connection, name: str) -> AgentRow | None:
    """Return one agent, ``None`` where there never was one of that name."""
    found = _BY_NAME.row(connection, {"of_name": name})
    if found is None:
        return None
    row = dict(zip(_NAMES, found, strict=True))
    return _row(row, marks.find(connection, name))


@dataclass(frozen=True, slots=True)
class NewAgent:
    """An agent that registers; see `AgentRow`."""

    name: str
    state: AgentState
    by_hand: bool
    identity: Identity
    words: str


def insert(connection: Connection, new: NewAgent, now: int) -> bool:
    """Register an agent; ``False`` if its name or one of its keys is known already."""
    identity = new.identity
    row = {
        "name": new.name,
        "state": new.state,
        "why": "",
        "by_hand": new.by_hand,
        "pin": identity.pin,
        "certificate": identity.certificate,
        "frame_key": identity.frame_key,
        "words": new.words,
        "software": "",
        "policy": b"",
        "enrolled_at": now,
        "last_seen": 0,
    }
    revisions.advance(connection)
    return revisions.insert_unless_there(connection, agent, row)


def set_state(
    connection: Connection, name: str, state: AgentState, *, among: Sequence[AgentState], why: str
) -> bool:
    """Change the state of an agent that is in one of these; ``False`` if it is in none."""
    revisions.advance(connection)
    changed = connection.execute(
        update(agent)
        .where(agent.c.name == name, agent.c.state.in_(among))
        .values(state=state, why=why)
    )
    return changed.rowcount == 1


def announce_following(connection: Connection, name: str, identity: Identity, words: str) -> None:
    """Remember the identity with which an agent will come from its next line on."""
    revisions.advance(connection)
    connection.execute(
        update(agent)
        .where(agent.c.name == name)
        .values(
            next_pin=identity.pin,
            next_certificate=identity.certificate,
            next_frame_key=identity.frame_key,
            words=words,
        )
    )


def promote(connection: Connection, name: str, pin: bytes) -> bool:
    """Let the identity that was announced take the old one's place."""
    revisions.advance(connection)
    changed = connection.execute(
        update(agent)
        .where(agent.c.name == name, agent.c.next_pin == pin)
        .values(
            pin=agent.c.next_pin,
            certificate=agent.c.next_certificate,
            frame_key=agent.c.next_frame_key,
            next_pin=None,
            next_certificate=None,
            next_frame_key=None,
        )
    )
    return changed.rowcount == 1


def replace_identity(connection: Connection, name: str, identity: Identity, words: str) -> None:
    """Give an agent without a line its new keys at once."""
    revisions.advance(connection)
    connection.execute(
        update(agent)
        .where(agent.c.name == name)
        .values(
            pin=identity.pin,
            certificate=identity.certificate,
            frame_key=identity.frame_key,
            words=words,
        )
    )


def set_facts(connection: Connection, name: str, software: str, policy: bytes, now: int) -> None:
    """Remember what an agent said of itself when it came."""
    revisions.advance(connection)
    connection.execute(
        update(agent)
        .where(agent.c.name == name)
        .values(software=software, policy=policy, last_seen=now)
    )


def set_seen(connection: Connection, name: str, now: int) -> None:
    """Remember when an agent was there last."""
    revisions.advance(connection)
    connection.execute(update(agent).where(agent.c.name == name).values(last_seen=now))


def _row(values: Mapping[Any, Any], known: Known) -> AgentRow:
    following = None
    if values["next_pin"] is not None:
        following = Identity(
            values["next_pin"], values["next_certificate"], values["next_frame_key"]
        )
    return AgentRow(
        name=values["name"],
        state=AgentState(values["state"]),
        why=values["why"],
        by_hand=values["by_hand"],
        identity=Identity(values["pin"], values["certificate"], values["frame_key"]),
        following=following,
        words=values["words"],
        software=values["software"],
        policy=values["policy"],
        mark=known.told,
        mirrored=known.mirrored,
        enrolled_at=values["enrolled_at"],
        last_seen=values["last_seen"],
    )
