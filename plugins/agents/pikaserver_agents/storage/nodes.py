"""The nodes of the server: where they are, and which agents have a line to which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import counter, link, node

LEAP = 1 << 20
"""Far more frames than a node seals between two backups; their numbers may grow to 2^64."""


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A line between an agent and a node; ``last_seen`` is renewed while it holds."""

    agent: str
    node: int
    since: int
    last_seen: int


_LINKS = select(link.c.agent, link.c.node, link.c.since, link.c.last_seen).order_by(
    link.c.agent, link.c.node
)


def set_address(connection: Connection, number: int, address: str) -> None:
    """Remember where agents reach a node."""
    revisions.advance(connection)
    connection.execute(update(node).where(node.c.number == number).values(address=address))


def list_links(connection: Connection) -> Sequence[LinkRow]:
    """Return all lines, those of nodes that crashed too."""
    return [LinkRow(*row) for row in connection.execute(_LINKS)]


def put_link(connection: Connection, row: LinkRow) -> None:
    """Remember a line."""
    connection.execute(delete(link).where(link.c.agent == row.agent, link.c.node == row.node))
    values: Mapping[str, object] = {
        "agent": row.agent,
        "node": row.node,
        "since": row.since,
        "last_seen": row.last_seen,
    }
    revisions.insert_unless_there(connection, link, values)


def drop_links(connection: Connection, number: int, agents: Sequence[str] | None = None) -> None:
    """Forget the lines of a node, all of them or those of some agents."""
    gone = delete(link).where(link.c.node == number)
    connection.execute(gone if agents is None else gone.where(link.c.agent.in_(agents)))


def renew_links(connection: Connection, number: int, agents: Sequence[str], now: int) -> None:
    """Note that these lines of a node still hold."""
    connection.execute(
        update(link).where(link.c.node == number, link.c.agent.in_(agents)).values(last_seen=now)
    )


def next_sequence(connection: Connection, number: int, agent: str) -> int:
    """Return the number of the next frame that a node seals for an agent without a line."""
    counted = connection.execute(
        update(counter)
        .where(counter.c.node == number, counter.c.agent == agent)
        .values(value=counter.c.value + 1)
        .returning(counter.c.value)
    ).scalar()
    if counted is not None:
        return int(counted)
    first = {"node": number, "agent": agent, "value": 1}
    if revisions.insert_unless_there(connection, counter, first):
        return 1
    return next_sequence(connection, number, agent)


def leap(connection: Connection, number: int, agent: str) -> None:
    """Leave so many numbers out that none is used which the agent may have seen already.

    It has where the database was restored from a backup.
    """
    next_sequence(connection, number, agent)
    connection.execute(
        update(counter)
        .where(counter.c.node == number, counter.c.agent == agent)
        .values(value=counter.c.value + LEAP)
    )
