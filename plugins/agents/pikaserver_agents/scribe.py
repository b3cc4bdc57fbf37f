"""Writes down what agents answered: in batches and beside the requests, or at once in a command."""

import logging
import threading
from collections.abc import Mapping

from hsm_agent.wire.messages import Mark
from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.storage import Database
from pikaserver_agents.repeating import Repeating
from pikaserver_agents.storage import histories, marks
from pikaserver_agents.storage.histories import HistoryRow

BATCH_SECONDS = 0.2
"""For how long what was answered is collected; so much of the history a crash may cost."""
LONGEST_QUEUE = 100_000
"""Rows that wait while nothing can be stored; then the oldest are lost, and that is logged."""

_log = logging.getLogger(__name__)


class Scribe:
    """Keeps the history of requests, and the newest mark of each journal."""

    def __init__(self, database: Database, node: int) -> None:
        self._database = database
        self._node = node
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self._rows: list[HistoryRow] = []
        self._marks: dict[str, Mark] = {}
        self._highest: dict[str, int] = {}
        self._stopping = False
        self._work = Repeating("agents-scribe", self._step)
        self._collecting = False

    def start(self) -> None:
        """Collect from now on; without this everything is written at once."""
        self._stopping, self._collecting = False, True
        self._work.start()

    def stop(self) -> None:
        """Write what waits, and collect no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
            self._ended.notify()
        self._work.stop()
        self._collecting = False
        try:
            self.flush()
        except StorageUnavailable as error:
            _log.error("history lost", extra={"event": "agents.history", "why": str(error)})

    def note(self, row: HistoryRow) -> None:
        """Write down one request and its outcome."""
        with self._changed:
            self._rows.append(row)
            if len(self._rows) > LONGEST_QUEUE:
                del self._rows[0]
                _log.error("history lost", extra={"event": "agents.history", "agent": row.agent})
            self._changed.notify()
        self._unless_collecting()

    def note_mark(self, agent: str, mark: Mark) -> None:
        """Write down how far an agent's journal is; an older mark changes nothing."""
        with self._changed:
            # Every sign of life brings a mark; only one that moved is worth a write.
            if self._highest.get(agent, 0) >= mark.index:
                return
            self._highest[agent] = mark.index
            self._marks[agent] = mark
            self._changed.notify()
        self._unless_collecting()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            StorageUnavailable: it could not be written, and waits on.
        """
        with self._changed:
            rows, self._rows = self._rows, []
            told, self._marks = self._marks, {}
        if not rows and not told:
            return
        try:
            self._store(rows, told)
        except BaseException:
            with self._changed:
                self._rows = rows + self._rows
                self._marks = told | self._marks
            raise

    def _store(self, rows: list[HistoryRow], told: Mapping[str, Mark]) -> None:
        with self._database.transaction() as connection:
            if rows:
                histories.add(connection, rows)
            for agent, mark in sorted(told.items()):
                marks.raise_told(connection, agent, self._node, mark)

    def _unless_collecting(self) -> None:
        if not self._collecting:
            self.flush()

    def _step(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._rows or self._marks)
            # What is noted meanwhile wakes nobody.
            self._ended.wait_for(lambda: self._stopping, BATCH_SECONDS)
        self.flush()
