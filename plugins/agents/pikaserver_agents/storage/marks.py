"""How far the journals of agents are known: as each node was told, and as far as we have them.

Each node has a row of its own.  So nodes that hear from one agent do not wait for each other,
whatever else stands in the transactions that their marks share.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from hsm_agent.wire.messages import Mark
from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import mark

BEGINNING = Mark(0, bytes(32))
"""The mark of a journal without lines."""
_MIRROR = 0
"""Stands in the place of a node's number for the lines that we have."""


@dataclass(frozen=True, slots=True)
class Known:
    """The newest mark that an agent told of, and how far we hold its lines."""

    told: Mark = BEGINNING
    mirrored: Mark = BEGINNING


_MARKS = select(mark.c.agent, mark.c.node, mark.c.index, mark.c.head)


def list_all(connection: Connection) -> Mapping[str, Known]:
    """Return what is known of each agent's journal, by the agent."""
    found: dict[str, Known] = {}
    for agent, node, index, head in connection.execute(_MARKS):
        found[agent] = _with(found.get(agent, Known()), node, Mark(index, head))
    return found


def find(connection: Connection, agent: str) -> Known:
    """Return what is known of one agent's journal."""
    known = Known()
    for _, node, index, head in connection.execute(_MARKS.where(mark.c.agent == agent)):
        known = _with(known, node, Mark(index, head))
    return known


def raise_told(connection: Connection, agent: str, node: int, told: Mark) -> None:
    """Remember the newest mark that a node was told; an older one changes nothing."""
    raised = connection.execute(
        update(mark)
        .where(mark.c.agent == agent, mark.c.node == node, mark.c.index < told.index)
        .values(index=told.index, head=told.head)
    )
    if raised.rowcount == 0:
        _insert(connection, agent, node, told)


def raise_mirrored(connection: Connection, agent: str, before: Mark, after: Mark) -> bool:
    """Move on with the mirror; ``False`` if another node did so meanwhile."""
    if before.index == 0 and _insert(connection, agent, _MIRROR, after):
        return True
    changed = connection.execute(
        update(mark)
        .where(mark.c.agent == agent, mark.c.node == _MIRROR, mark.c.index == before.index)
        .values(index=after.index, head=after.head)
    )
    return changed.rowcount == 1


def _insert(connection: Connection, agent: str, node: int, new: Mark) -> bool:
    row = {"agent": agent, "node": node, "index": new.index, "head": new.head}
    return revisions.insert_unless_there(connection, mark, row)


def _with(known: Known, node: int, found: Mark) -> Known:
    told = max(known.told, found, key=lambda one: one.index)
    return Known(told, found if node == _MIRROR else known.mirrored)
