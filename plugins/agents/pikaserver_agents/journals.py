"""The mirror of the agents' journals: fetched, checked, kept; a journal that lies locks out."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hsm_agent.wire.messages import JournalLines, JournalRead, Mark, Refused
from pikaserver.api.errors import KeyUnavailable
from pikaserver.api.operations import Alarm
from pikaserver.api.server import Server
from pikaserver_agents.directory import Directory
from pikaserver_agents.line import Answer, Request
from pikaserver_agents.printing import printable
from pikaserver_agents.storage import agents, histories, marks
from pikaserver_agents.storage.agents import MAY_CONNECT, AgentRow, AgentState
from pikaserver_agents.structures import sha256

CHUNK = 500
"""Lines that are fetched at once: few enough that signs of life are not held up behind them."""
ACTOR = "agents"

Ask = Callable[[Request], Answer]
"""Asks the agent and returns its answer; raises `KeyUnavailable` where none comes."""

_log = logging.getLogger(__name__)


class Contradiction(Exception):
    """The journal is not the one that the agent told of before."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line that continues the one before: its mark, and what it says."""

    mark: Mark
    fields: dict[str, object]


def follow(before: Mark, octets: bytes) -> JournalLine:
    """Read the line that comes after a mark.

    Raises:
        Contradiction: it is none, or does not continue that mark.
    """
    number = before.index + 1
    try:
        fields = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise Contradiction(f"line {number} is no JSON") from error
    if not isinstance(fields, dict) or not _continues(before, fields):
        raise Contradiction(f"line {number} does not continue line {before.index}")
    return JournalLine(Mark(number, sha256(octets)), fields)


def _continues(before: Mark, fields: Mapping[str, object]) -> bool:
    # True is 1 and 5.0 is 5 for Python, and neither is the number of a line.
    index = fields.get("i")
    return (
        type(index) is int and index == before.index + 1 and fields.get("prev") == before.head.hex()
    )


class Journals:
    """Keeps the mirrors; one agent at a time per caller."""

    def __init__(
        self, server: Server, directory: Directory, request_id: Callable[[], bytes]
    ) -> None:
        self._server = server
        self._directory = directory
        self._request_id = request_id

    def check_mark(self, agent: str, ask: Ask) -> None:
        """Return when the journal contains the line that the agent told of last.

        Raises:
            Contradiction: it does not.
            KeyUnavailable: the agent does not say.
        """
        told = self._row(agent).mark
        if told.index == 0:
            return
        answer = self._read(ask, told.index, told.index)
        _check_length(answer, told)
        if sha256(_lines(answer, agent)[0]) != told.head:
            raise Contradiction(f"line {told.index} is not the one that it told of")

    def catch_up(self, agent: str, ask: Ask, *, at_least: int = 0) -> Mark:
        """Fetch what the mirror lacks, up to the newest line that the agent told of.

        Returns:
            How far the mirror is now.

        Raises:
            Contradiction: the lines do not continue the mirror, or contradict an answer.
            KeyUnavailable: the agent does not hand out its lines now.
        """
        while True:
            row = self._row(agent)
            last = max(row.mark.index, at_least)
            if row.mirrored.index >= last:
                return row.mirrored
            first = row.mirrored.index + 1
            answer = self._read(ask, first, min(last, first + CHUNK - 1))
            _check_length(answer, row.mark)
            self.take(agent, first, _lines(answer, agent))

    def take(self, agent: str, number: int, lines: Sequence[bytes]) -> Mark:
        """Store lines from ``number`` on that the mirror lacks; return how far it is then.

        Another node may have moved it on since they were asked for, or an older bundle comes late.

        Raises:
            Contradiction: they do not follow, or contradict what the agent told.
        """
        row = self._row(agent)
        mark = row.mirrored
        first = mark.index + 1
        lines = lines[first - number :] if number <= first else ()
        if not lines:
            return mark
        with self._server.database.reading() as connection:
            answers = histories.heads_between(connection, agent, first, first + len(lines))
        heads = {row.mark.index: row.mark.head, **answers}
        for octets in lines:
            mark = follow(mark, octets).mark
            if heads.get(mark.index, mark.head) != mark.head:
                raise Contradiction(f"line {mark.index} is not the one that it told of")
        with self._server.database.transaction() as connection:
            if marks.raise_mirrored(connection, agent, row.mirrored, mark):
                histories.add_lines(connection, agent, first, lines)
        return mark

    def lock_out(self, agent: str, why: str) -> None:
        """Let an agent sign nothing any more, on any node, and alarm."""
        text = f"agent {agent} is locked out: its journal differs: {why}"
        with self._server.database.transaction() as connection:
            among = (*MAY_CONNECT, AgentState.OFFLINE)
            if not agents.set_state(connection, agent, AgentState.LOCKED, among=among, why=why):
                return
            self._server.audit.record(connection, "agent.locked", ACTOR, agent=agent, why=why)
        self._directory.refresh()
        self._server.announce(Alarm("agents.journal-differs", text, {"agent": agent, "why": why}))
        _log.error("agent locked out", extra={"event": "agents.locked", "agent": agent, "why": why})

    def _row(self, agent: str) -> AgentRow:
        with self._server.database.reading() as connection:
            row = agents.find(connection, agent)
        if row is None:
            raise KeyUnavailable(f"agent {agent} is not registered any more")
        return row

    def _read(self, ask: Ask, first: int, last: int) -> Answer:
        return ask(JournalRead(self._request_id(), first, last))


def _check_length(answer: Answer, told: Mark) -> None:
    """Return when the journal is as long as the agent told; it says so even when it refuses.

    Raises:
        Contradiction: it is shorter.
    """
    if answer.journal.index < told.index:
        raise Contradiction(f"it has {answer.journal.index} lines, and told of {told.index} before")


def _lines(answer: Answer, agent: str) -> Sequence[bytes]:
    if isinstance(answer, JournalLines) and answer.lines:
        return answer.lines
    why = printable(answer.why) if isinstance(answer, Refused) else "it shows nothing"
    raise KeyUnavailable(f"agent {agent} does not hand out its journal now: {why}")
