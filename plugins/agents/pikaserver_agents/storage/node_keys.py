"""Which keys nodes have, one generation after the other, and by which of them agents know them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.messages import Node
from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import known, node, node_key

FIRST = 0
"""The generation that a node is made with; its keys are classical, and stand in its own row."""


@dataclass(frozen=True, slots=True)
class NodeKey:
    """One generation of a node's keys as agents see it; ``sealed`` is for the node itself alone."""

    node: Node
    generation: int
    kinds: ChannelKinds
    certificate: bytes
    sealed: bytes = field(repr=False)
    since: int = 0


_FIRST_KEYS = select(
    node.c.number, node.c.address, node.c.pin, node.c.frame_key, node.c.certificate, node.c.sealed
).where(node.c.retired.is_(False))
_LATER_KEYS = select(
    node_key.c.node,
    node_key.c.generation,
    node_key.c.tls_kind,
    node_key.c.frame_kind,
    node_key.c.pin,
    node_key.c.frame_key,
    node_key.c.certificate,
    node_key.c.sealed,
    node_key.c.since,
    node.c.address,
).join(node, node.c.number == node_key.c.node)


def list_keys(connection: Connection) -> Sequence[NodeKey]:
    """Return all keys that count, by node and from the oldest on."""
    first = [
        NodeKey(Node(number, address, pin, frame_key), FIRST, ChannelKinds(), certificate, sealed)
        for number, address, pin, frame_key, certificate, sealed in connection.execute(_FIRST_KEYS)
    ]
    later = [
        NodeKey(
            Node(row.node, row.address, row.pin, row.frame_key),
            row.generation,
            ChannelKinds(row.tls_kind, row.frame_kind),
            row.certificate,
            row.sealed,
            row.since,
        )
        for row in connection.execute(_LATER_KEYS)
    ]
    return sorted([*first, *later], key=lambda key: (key.node.number, key.generation))


def has_node(connection: Connection, number: int) -> bool:
    """Tell whether a node was made, whatever became of its first keys."""
    return connection.scalar(select(node.c.number).where(node.c.number == number)) is not None


def highest(connection: Connection, number: int) -> tuple[int, str]:
    """Return the newest generation of a node, and where it is reached."""
    newest = connection.scalar(
        select(func.max(node_key.c.generation)).where(node_key.c.node == number)
    )
    address = connection.scalar(select(node.c.address).where(node.c.number == number))
    return newest or FIRST, address or ""


def add_first(connection: Connection, key: NodeKey) -> bool:
    """Store a new node; ``False`` if another process of the node was faster."""
    values = {
        "number": key.node.number,
        "address": key.node.address,
        "pin": key.node.pin,
        "frame_key": key.node.frame_key,
        "certificate": key.certificate,
        "sealed": key.sealed,
        "retired": False,
    }
    revisions.advance(connection)
    return revisions.insert_unless_there(connection, node, values)


def add_later(connection: Connection, key: NodeKey) -> bool:
    """Store the next generation; ``False`` if another process of the node was faster."""
    values = {
        "node": key.node.number,
        "generation": key.generation,
        "tls_kind": key.kinds.tls,
        "frame_kind": key.kinds.frames,
        "pin": key.node.pin,
        "frame_key": key.node.frame_key,
        "certificate": key.certificate,
        "sealed": key.sealed,
        "since": key.since,
    }
    revisions.advance(connection)
    return revisions.insert_unless_there(connection, node_key, values)


def reseal_first(connection: Connection, number: int, before: bytes, after: bytes) -> bool:
    """Put other sealed octets in the place of these; ``False`` if somebody did so already."""
    changed = connection.execute(
        update(node).where(node.c.number == number, node.c.sealed == before).values(sealed=after)
    )
    return changed.rowcount == 1


def retire(connection: Connection, number: int, generation: int) -> bool:
    """Let a generation count no more; ``False`` if there is none.  Its private keys are gone."""
    revisions.advance(connection)
    connection.execute(
        delete(known).where(known.c.node == number, known.c.generation == generation)
    )
    if generation == FIRST:
        gone = connection.execute(
            update(node)
            .where(node.c.number == number, node.c.retired.is_(False))
            .values(retired=True, sealed=b"")
        )
    else:
        gone = connection.execute(
            delete(node_key).where(node_key.c.node == number, node_key.c.generation == generation)
        )
    return gone.rowcount == 1


def list_known(connection: Connection) -> Mapping[tuple[str, int], int]:
    """Return, by agent and node, by which generation an agent knows a node."""
    rows = connection.execute(select(known.c.agent, known.c.node, known.c.generation))
    return {(agent, number): generation for agent, number, generation in rows}


def set_known(connection: Connection, agent: str, generations: Mapping[int, int]) -> None:
    """Remember by which generations an agent knows nodes, by their numbers."""
    revisions.advance(connection)
    for number, generation in generations.items():
        place = and_(known.c.agent == agent, known.c.node == number)
        connection.execute(delete(known).where(place))
        connection.execute(insert(known).values(agent=agent, node=number, generation=generation))
