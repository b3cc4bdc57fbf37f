"""What agents were asked, and what their journals say: both halves of a comparison."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select

from hsm_agent.wire.messages import Mark
from pikaserver.api.prepared import Prepared
from pikaserver_agents.storage import revisions
from pikaserver_agents.storage.tables import history, journal_line

SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One request to sign, and what became of it; ``outcome`` is `SIGNED` or a code."""

    id: bytes
    agent: str
    spki_hash: bytes
    tbs_hash: bytes
    purpose: str
    outcome: str
    journal: Mark
    at: int


_ADD = Prepared(insert(history).inline())
_HEADS = Prepared(
    select(history.c.journal_index, history.c.journal_head).where(
        history.c.agent == bindparam("of_agent"),
        history.c.journal_index >= bindparam("first"),
        history.c.journal_index <= bindparam("last"),
    )
)
_HISTORY = select(
    history.c.id,
    history.c.agent,
    history.c.spki_hash,
    history.c.tbs_hash,
    history.c.purpose,
    history.c.outcome,
    history.c.journal_index,
    history.c.journal_head,
    history.c.at,
).execution_options(yield_per=1000)


def add(connection: Connection, rows: Sequence[HistoryRow]) -> None:
    """Store what was asked, at least one row."""
    _ADD.run_many(
        connection,
        [
            {
                "id": row.id,
                "agent": row.agent,
                "spki_hash": row.spki_hash,
                "tbs_hash": row.tbs_hash,
                "purpose": row.purpose,
                "outcome": row.outcome,
                "journal_index": row.journal.index,
                "journal_head": row.journal.head,
                "at": row.at,
            }
            for row in rows
        ],
    )


def newest(connection: Connection) -> int:
    """Return the number of the newest row."""
    return connection.scalar(select(func.max(history.c.number))) or 0


def of_agent(connection: Connection, agent: str, last: int) -> Iterator[HistoryRow]:
    """Yield what an agent was asked to sign up to a row's number, the oldest first."""
    mine = _HISTORY.where(history.c.agent == agent, history.c.number <= last)
    rows = connection.execute(mine.order_by(history.c.number))
    return map(_row, rows.mappings())


def asked_hashes(connection: Connection, spki_hash: bytes) -> Iterator[bytes]:
    """Yield the hash of everything that any agent was asked to sign with a key."""
    rows = select(history.c.tbs_hash).where(history.c.spki_hash == spki_hash)
    return connection.scalars(rows.execution_options(yield_per=1000))


def signed_after(connection: Connection, agent: str, index: int) -> Iterator[bytes]:
    """Yield the hashes of what an agent signed after a line of its journal, by its answers."""
    rows = select(history.c.tbs_hash).where(
        history.c.agent == agent,
        history.c.outcome == SIGNED,
        history.c.journal_index > index,
    )
    return connection.scalars(rows)


def heads_between(connection: Connection, agent: str, first: int, last: int) -> Mapping[int, bytes]:
    """Return what answers said of the lines of a journal from one number to another: the heads."""
    return dict(_HEADS.rows(connection, {"of_agent": agent, "first": first, "last": last}))


def add_lines(connection: Connection, agent: str, first: int, lines: Sequence[bytes]) -> None:
    """Store lines of a journal, at least one, numbered from ``first`` on."""
    rows = [
        {"agent": agent, "number": number, "octets": octets}
        for number, octets in enumerate(lines, first)
    ]
    revisions.insert_what_is_not_there(connection, journal_line, rows)


def lines_of(
    connection: Connection, agent: str, after: int, last: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that we hold of a journal, with their numbers, after one up to another."""
    rows = connection.execute(
        select(journal_line.c.number, journal_line.c.octets)
        .where(
            journal_line.c.agent == agent,
            journal_line.c.number > after,
            journal_line.c.number <= last,
        )
        .order_by(journal_line.c.number)
    )
    return ((number, octets) for number, octets in rows)


def _row(values: RowMapping) -> HistoryRow:
    fields = dict(values)
    mark = Mark(fields.pop("journal_index"), fields.pop("journal_head"))
    return HistoryRow(**fields, journal=mark)
