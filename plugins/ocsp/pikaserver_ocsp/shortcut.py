"""The usual questions, answered past the routes; see ``pikaserver.api.web.Shortcut``."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.api.web import ReadyAnswer, WholeRequest
from pikaserver_ocsp import caching
from pikaserver_ocsp.door import Door
from pikaserver_ocsp.kept import KeptAnswer
from pikaserver_ocsp.resources import CONTENT_TYPE
from pikaserver_ocsp.responder import Answer, Responder
from pikaserver_ocsp.store import AnswerStore

PATH = "/ocsp"

LASTING = timedelta(seconds=10)
"""After this time the headers of an answer at hand are written anew."""

LIMIT_OCTETS = 512
"""Larger requests are rare, and not remembered."""

Key = tuple[str, str, bytes]
_CONDITIONS = ("IF_NONE_MATCH", "IF_MODIFIED_SINCE")


@dataclass(frozen=True, slots=True)
class _Ready:
    """An answer to a request of these very octets, which held when the database had ``commits``."""

    answer: ReadyAnswer
    kept: KeptAnswer
    authority: str
    commits: int
    until: datetime


@dataclass(frozen=True, slots=True)
class OcspShortcut:
    """Answers POST, and GET without conditions.

    What is kept and was looked up is at hand as long as nobody writes anything into the
    database: then nothing can have been revoked.  That costs a few microseconds to ask.
    """

    door: Door
    responder: Responder
    store: AnswerStore
    database: Database
    clock: Clock
    _ready: dict[Key, _Ready] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def path(self) -> str:
        """See the protocol."""
        return PATH

    def at_hand(self, request: WholeRequest) -> ReadyAnswer | None:
        """See the protocol."""
        ready = self._ready.get((request.method, request.path, request.body))
        if ready is None or _is_conditional(request):
            return None
        if ready.commits != self._commits() or self.clock() >= ready.until:
            return None
        self.responder.counts.answered(ready.authority, ready.kept.word)
        self.store.note(ready.kept.key)
        return ready.answer

    def answer(self, request: WholeRequest) -> ReadyAnswer | None:
        """See the protocol."""
        if _is_conditional(request):
            return None
        # Asked before the status is looked up: what is written meanwhile counts as later.
        commits = self._commits()
        rest, address = request.path[len(PATH) :], request.client.address
        if request.method == "POST":
            answer = self.door.post(rest, request.body, address)
        else:
            answer = self.door.get(rest, address)
        ready = ReadyAnswer(CONTENT_TYPE, answer.octets, self._headers(request, answer))
        if commits is not None and answer.kept is not None:
            self._remember(request, answer, ready, commits)
        return ready

    def _headers(self, request: WholeRequest, answer: Answer) -> tuple[tuple[str, str], ...]:
        if request.method == "POST" or answer.kept is None:
            return ()
        max_age = self.responder.settings.terms(answer.authority).max_age
        return caching.headers(answer.kept, self.clock(), max_age)

    def _remember(
        self, request: WholeRequest, answer: Answer, ready: ReadyAnswer, commits: int
    ) -> None:
        kept, now = answer.kept, self.clock()
        if kept is None or len(request.path) + len(request.body) > LIMIT_OCTETS:
            return
        until = min(now + LASTING, kept.due_at)
        entry = _Ready(ready, kept, answer.authority, commits, until)
        with self._lock:
            key = (request.method, request.path, request.body)
            self._ready.pop(key, None)
            if len(self._ready) >= self.responder.settings.answers_in_memory:
                del self._ready[next(iter(self._ready))]
            self._ready[key] = entry

    def _commits(self) -> int | None:
        try:
            return self.database.commits()
        except StorageUnavailable:
            return None


def _is_conditional(request: WholeRequest) -> bool:
    return any(name in request.headers for name in _CONDITIONS)
