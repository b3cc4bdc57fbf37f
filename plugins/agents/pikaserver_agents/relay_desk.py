"""Takes up requests of processes that have no line, and stores what the agents answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic

from sqlalchemy import Connection

from hsm_agent.wire.messages import Refused, Relay, Relayed
from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.server import Server
from pikaserver_agents.lines import Lines
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.repeating import Repeating
from pikaserver_agents.storage import jobs
from pikaserver_agents.storage.jobs import JobRow

MOST = 32
"""Requests that are taken up at once."""
QUICK_SECONDS = 0.004
SLOW_SECONDS = 0.05
QUICKLY_FOR = 5.0
"""Seconds after a request for which the next one is looked for quickly."""
WITHOUT_LINES_SECONDS = 0.25
CLEAN_SECONDS = 60.0
KEPT_MS = 60_000

# The agent has not looked into the frame: it can be sent again.
_UNREAD = ("busy", "draining")


@dataclass(frozen=True, slots=True)
class _Ended:
    job: bytes
    outcome: Relayed | Refused | None


class RelayDesk:
    """One thread: it looks for requests, and writes answers."""

    def __init__(self, server: Server, lines: Lines) -> None:
        self._server = server
        self._lines = lines
        self._now = milliseconds(server.clock)
        self._ended: SimpleQueue[_Ended | None] = SimpleQueue()
        self._busy = 0.0
        self._cleaned = monotonic()
        self._work = Repeating("agents-relay", self._step)

    def start(self) -> None:
        """Begin to look for requests."""
        self._work.start()

    def stop(self) -> None:
        """Take up nothing more."""
        self._ended.put(None)
        self._work.stop()

    def _step(self) -> None:
        self._store(self._wait())
        self._take_up()
        self._clean()

    def _wait(self) -> list[_Ended]:
        """Return the answers that came, at the latest when it is time to look for requests."""
        seconds = WITHOUT_LINES_SECONDS
        if self._lines.present():
            quickly = monotonic() - self._busy < QUICKLY_FOR
            seconds = QUICK_SECONDS if quickly else SLOW_SECONDS
        found: list[_Ended] = []
        try:
            ended = self._ended.get(timeout=seconds)
            while True:
                if ended is not None:
                    found.append(ended)
                ended = self._ended.get_nowait()
        except Empty:
            return found

    def _store(self, ended: Sequence[_Ended]) -> None:
        if not ended:
            return
        try:
            with self._server.database.transaction() as connection:
                for one in ended:
                    _store(connection, one)
        except StorageUnavailable:
            for one in ended:
                self._ended.put(one)
            raise

    def _take_up(self) -> None:
        agents = [agent for agent in self._lines.present() if self._lines.get(agent) is not None]
        if not agents:
            return
        with self._server.database.reading() as connection:
            waiting = jobs.new_for(connection, agents, self._now(), MOST)
        if not waiting:
            return
        self._busy = monotonic()
        with self._server.database.transaction() as connection:
            ours = [job for job in waiting if jobs.claim(connection, job.id)]
        for job in ours:
            self._forward(job)

    def _forward(self, job: JobRow) -> None:
        line = self._lines.get(job.agent)
        if line is None:
            self._ended.put(_Ended(job.id, None))
        else:
            line.relay(Relay(job.id, job.node, job.frame), partial(self._end, job.id))

    def _end(self, job: bytes, outcome: Relayed | Refused | None) -> None:
        self._ended.put(_Ended(job, outcome))

    def _clean(self) -> None:
        """Remove what nobody waits for any more."""
        if monotonic() - self._cleaned < CLEAN_SECONDS:
            return
        self._cleaned = monotonic()
        before = self._now() - KEPT_MS
        with self._server.database.reading() as connection:
            if not jobs.any_old(connection, before):
                return
        with self._server.database.transaction() as connection:
            jobs.remove_old(connection, before)


def _store(connection: Connection, ended: _Ended) -> None:
    match ended.outcome:
        case Relayed(frame=frame):
            jobs.answer(connection, ended.job, frame)
        case Refused(code=code) if code in _UNREAD:
            jobs.reopen(connection, ended.job)
        case Refused(code=code, why=why):
            jobs.lose(connection, ended.job, why or code.encode())
        case _:
            jobs.lose(connection, ended.job)
