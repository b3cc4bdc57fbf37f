"""How far the journals of agents are known: as each node was told, and as far as we have them.

Each node has a row of its own.  So nodes that hear from one agent do not wait for each other,
whatever else stands in the transactions that their marks share.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from hsm_agent.wire.messages import Mark
from pikaserver.api.prepared import Prepared
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
_OF_AGENT = Prepared(_MARKS.where(mark.c.agent == bindparam("of_agent")))
_RAISE = (
    update(mark)
    .where(mark.c.agent == bindparam("of_agent"), mark.c.node == bindparam("of_node"))
    .values(index=bindparam("new_index"), head=bindparam("new_head"))
)
_RAISE_OLDER = Prepared(_RAISE.where(mark.c.index < bindparam("new_index")))
_RAISE_THIS = Prepared(_RAISE.where(mark.c.index == bindparam("old_index")))


def list_all(connection: Connection) -> Mapping[str, Known]:
    """Return what is known of each agent's journal, by the agent."""
    found: dict[str, Known] = {}
    for agent, node, index, head in connection.execute(_MARKS):
        found[agent] = _with(found.get(agent, Known()), node, Mark(index, head))
    return found


def find(connection: Connection, agent: str) -> Known:
    """Return what is known of one agent's journal."""
    known = Known()
    for _, node, index, head in _OF_AGENT.rows(connection, {"of_agent": agent}):
        known = _with(known, node, Mark(index, head))
    return known


def raise_told(connection: Connection, agent: str, node: int, told: Mark) -> None:
    """Remember the newest mark that a node was told; an older one changes nothing."""
    if _RAISE_OLDER.run(connection, _raised(agent, node, told)) == 0:
        _insert(connection, agent, node, told)


def raise_mirrored(connection: Connection, agent: str, before: Mark, after: Mark) -> bool:
    """Move on with the mirror; ``False`` if another node did so meanwhile."""
    if before.index == 0 and _insert(connection, agent, _MIRROR, after):
        return True
    values = {**_raised(agent, _MIRROR, after), "old_index": before.index}
    return _RAISE_THIS.run(connection, values) == 1


def _raised(agent: str, node: int, new: Mark) -> Mapping[str, object]:
    return {"of_agent": agent, "of_node": node, "new_index": new.index, "new_head": new.head}


def _insert(connection: Connection, agent: str, node: int, new: Mark) -> bool:
    row = {"agent": agent, "node": node, "index": new.index, "head": new.head}
    return revisions.insert_unless_there(connection, mark, row)


def _with(known: Known, node: int, found: Mark) -> Known:
    told = max(known.told, found, key=lambda one: one.index)
    return Known(told, found if node == _MIRROR else known.mirrored)
