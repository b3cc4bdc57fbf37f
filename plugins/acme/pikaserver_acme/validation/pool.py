"""The threads that validate: so many and no more, off those that answer requests.

One more thread minds the queue: it takes what became due, keeps the leases of what is held, and
finds what a crash left.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pikaserver.api.errors import Unavailable
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver_acme.validation import queue
from pikaserver_acme.validation.queue import Lease, Turn

LEASE = timedelta(seconds=60)
LOOK_SECONDS = 1
"""How often to look whether something became due, on whichever node it was begun."""
RENEW_LOOKS = 20
ORPHANS_LOOKS = 60
STOP_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many threads, and how many challenges may wait for one in memory."""

    workers: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What the pool works on."""

    database: Database
    clock: Clock
    node: int


class Pool:
    """Makes attempts; ``attempt`` says whether another one is to follow, and after how long."""

    def __init__(
        self, bench: Bench, sizes: Sizes, attempt: Callable[[Turn], timedelta | None]
    ) -> None:
        self._bench = bench
        self._sizes = sizes
        self._attempt = attempt
        self._turns: deque[Turn] = deque()
        self._held: set[int] = set()
        self._settled: list[int] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.running = 0

    @property
    def held(self) -> int:
        """How many challenges this node is at, running or waiting in memory."""
        return len(self._held)

    def start(self) -> None:
        """Take up what was left, and begin to work."""
        self._stopping = False
        self._stopped.clear()
        self._minded(self._release)
        workers = [
            threading.Thread(target=self._work, name=f"acme-validation-{number}", daemon=True)
            for number in range(1, self._sizes.workers + 1)
        ]
        minder = threading.Thread(target=self._mind, name="acme-validation", daemon=True)
        self._threads = [minder, *workers]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is not done is given back to the queue."""
        with self._changed:
            self._stopping = True
            self._turns.clear()
            self._changed.notify_all()
        self._stopped.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS / len(self._threads))
        try:
            with self._bench.database.transaction() as connection:
                queue.leave(connection, self._settled)
                queue.release(connection, self._bench.node)
        except Unavailable as error:
            _log.warning("validations not given back", extra={"error": str(error)})

    def begin(self, challenge_id: int) -> None:
        """Let the first attempt be made as soon as a thread is free.

        Raises:
            StorageUnavailable: it could not be entered; it is found later all the same.
        """
        take = self._reserve(challenge_id)
        turn = None
        try:
            with self._bench.database.transaction() as connection:
                turn = queue.enter(connection, challenge_id, self._lease(), take=take)
        finally:
            if take and turn is None:
                self._let_go(challenge_id)
        if turn is not None:
            self._give(turn)

    def _reserve(self, challenge_id: int) -> bool:
        with self._changed:
            room = len(self._held) < self._sizes.workers + self._sizes.waiting
            if not room or challenge_id in self._held or self._stopping:
                return False
            self._held.add(challenge_id)
            return True

    def _let_go(self, challenge_id: int) -> None:
        with self._changed:
            self._held.discard(challenge_id)

    def _give(self, turn: Turn) -> None:
        with self._changed:
            self._turns.append(turn)
            self._changed.notify()

    def _lease(self) -> Lease:
        now = self._bench.clock()
        return Lease(self._bench.node, now, now + LEASE)

    def _work(self) -> None:
        while (turn := self._next()) is not None:
            try:
                self._make(turn)
            except Unavailable as error:
                # Its lease ends, and then it is due again.
                _log.warning("validation interrupted", extra={"error": str(error)})
            except Exception:  # noqa: BLE001 - a job runner's thread must not end
                _log.exception("validation failed", extra={"challenge": turn.challenge_id})
            finally:
                with self._changed:
                    self.running -= 1
                self._let_go(turn.challenge_id)

    def _next(self) -> Turn | None:
        with self._changed:
            self._changed.wait_for(lambda: self._turns or self._stopping)
            if self._stopping:
                return None
            self.running += 1
            return self._turns.popleft()

    def _make(self, turn: Turn) -> None:
        again = self._attempt(turn)
        if again is None:
            with self._changed:
                self._settled.append(turn.challenge_id)
            return
        with self._bench.database.transaction() as connection:
            queue.postpone(connection, turn.challenge_id, self._bench.clock() + again)

    def _mind(self) -> None:
        """Look after the queue until the pool stops."""
        looks = 0
        while not self._stopping:
            if looks % ORPHANS_LOOKS == 0:
                self._minded(self._adopt)
            if looks % RENEW_LOOKS == 0:
                self._minded(self._renew)
            self._minded(self._clear)
            self._minded(self._take_due)
            self._stopped.wait(LOOK_SECONDS)
            looks += 1

    def _minded(self, deed: Callable[[], None]) -> None:
        try:
            deed()
        except Unavailable as error:
            _log.warning("the validation queue rests", extra={"error": str(error)})
        except Exception:  # noqa: BLE001 - a job runner's thread must not end
            _log.exception("the validation queue rests")

    def _release(self) -> None:
        """Give back what this node was at when its last process ended."""
        with self._bench.database.transaction() as connection:
            left = queue.release(connection, self._bench.node)
        if left:
            _log.info("validations taken up", extra={"validations": left})

    def _adopt(self) -> None:
        with self._bench.database.reading() as connection:
            lost = queue.orphans(connection)
        for challenge_id in lost:
            with self._bench.database.transaction() as connection:
                queue.enter(connection, challenge_id, self._lease(), take=False)

    def _renew(self) -> None:
        with self._changed:
            held = set(self._held)
        if held:
            with self._bench.database.transaction() as connection:
                queue.renew(connection, held, self._lease())

    def _clear(self) -> None:
        with self._changed:
            settled, self._settled = self._settled, []
        if settled:
            with self._bench.database.transaction() as connection:
                queue.leave(connection, settled)

    def _take_due(self) -> None:
        with self._changed:
            room = self._sizes.workers + self._sizes.waiting - len(self._held)
        if room <= 0:
            return
        with self._bench.database.reading() as connection:
            found = queue.due(connection, self._bench.clock(), room)
        for challenge_id in found:
            if not self._reserve(challenge_id):
                continue
            with self._bench.database.transaction() as connection:
                turn = queue.claim(connection, challenge_id, self._lease())
            if turn is None:
                self._let_go(challenge_id)
            else:
                self._give(turn)
