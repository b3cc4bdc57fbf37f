"""Many callers, one worker: requests in a row, and a new worker where one dies or hangs."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue

from hsm_agent.stores.pkcs11.pipe import framed, number
from hsm_agent.stores.pkcs11.restarts import Restarts
from hsm_agent.stores.pkcs11.waiting import Answered, Waiting, answer_of, answered
from hsm_agent.stores.pkcs11.worker_process import Start, WorkerProcess
from hsm_agent.stores.store import TokenFault
from hsm_agent.wire.encoding import Value
from hsm_agent.wire.errors import WireError

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2  # how long a request waits at once while no worker is there to measure
_SHORTEST_WAIT_SECONDS = 0.05
_START_SECONDS = 30.0
"""What an interpreter may take to start on a busy machine; the module has nothing to do yet."""
_END_SECONDS = 2.0


class Pipeline:
    """Sends what callers ask, in order, and hands each of them its answer.

    The worker does one request after the other, and tells which it has begun: that one it died
    of, or hangs in.  The others are sent to the next worker: those behind it were not begun, and
    those before it were signed, but their answers waited for it to go with them.
    """

    def __init__(self, start: Start, window: int) -> None:
        self._start = start
        self._window = threading.BoundedSemaphore(window)
        self._lock = threading.Lock()
        self._order = threading.Lock()
        self._waiting: dict[int, Waiting] = {}
        self._worker: WorkerProcess | None = None
        self._asked = 0
        self._started = 0
        self._ready = False
        self._restarts = Restarts()
        self._since = 0.0
        self._hung: Waiting | None = None
        self._closed = False
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pkcs11-worker", daemon=True)
        self._thread.start()

    @property
    def process(self) -> int:
        """The id of the worker's process, 0 while there is none."""
        worker = self._worker
        return worker.number if worker is not None else 0

    def ask(
        self, request: Mapping[str, Value], limit: float, *, once: bool = False
    ) -> Mapping[str, Value]:
        """Return the worker's answer; ``limit`` are the seconds that the module gets for it.

        ``once`` is for what must not be sent again after a worker died of it; an answer to what
        was sent again says ``tried``.

        Raises:
            TokenFault: the worker died or hung, and the request must not, or not again, be sent.
        """
        with self._window:
            with self._order:
                waiting = self._submitted([request], limit, once=once)
            self._next(waiting[0].done)
        return answer_of(waiting[0])

    def ask_all(
        self, requests: Sequence[Mapping[str, Value]], limit: float
    ) -> Iterator[Sequence[Answered]]:
        """Send requests at once and yield their answers, as they come.

        Raises:
            TokenFault: those that were not yielded were not done.
        """
        sent = 0
        while sent < len(requests):
            left = places = self._places(len(requests) - sent)
            try:
                with self._order:
                    waiting = self._submitted(requests[sent : sent + places], limit, once=False)
                while left:
                    found = self._next(waiting[0].done)
                    left -= self._leave(len(found))
                    # Whoever gets these may have to ask again, and needs a place for that.
                    yield [answered(sent, one) for one in found]
            finally:
                self._leave(left)
            sent += places

    def glance(
        self, request: Mapping[str, Value], limit: float, patience: float
    ) -> Mapping[str, Value] | None:
        """Ask, and return ``None`` where others keep the worker busy for that many seconds.

        Raises:
            TokenFault: as `ask`.
        """
        until = time.monotonic() + patience
        if not self._order.acquire(timeout=patience):
            return None
        try:
            [waiting] = self._submitted([request], limit, once=False)
        finally:
            self._order.release()
        while True:
            left = until - time.monotonic()
            try:
                waiting.done.get(timeout=max(0.0, min(self._patience(), left)))
                return answer_of(waiting)
            except Empty:
                self._kill_if_hung()
                if left <= 0:
                    return None

    def close(self) -> None:
        """End the worker; whoever still waits is told so."""
        with self._lock:
            self._closed = True
            worker = self._worker
        self._wanted.set()
        if worker is not None:
            worker.pipe.end()
            self._thread.join(_END_SECONDS)
            worker.kill()
        self._thread.join()

    def _places(self, wanted: int) -> int:
        """Take one place in the window, waiting for it, and as many more as are free."""
        taken = int(self._window.acquire())
        while taken < wanted and self._window.acquire(blocking=False):
            taken += 1
        return taken

    def _leave(self, places: int) -> int:
        for _ in range(places):
            self._window.release()
        return places

    def _submitted(
        self, requests: Sequence[Mapping[str, Value]], limit: float, *, once: bool
    ) -> Sequence[Waiting]:
        """Send requests, by whoever holds the order: those behind wait, as the worker does."""
        done: SimpleQueue[Waiting] = SimpleQueue()
        sent = []
        with self._lock:
            self._refuse_if_pausing()
            if not self._waiting:
                self._since = time.monotonic()
            for place, request in enumerate(requests):
                self._asked += 1
                octets = framed({**request, "n": self._asked})
                self._waiting[self._asked] = waiting = Waiting(octets, limit, once, place, done)
                sent.append(waiting)
            worker = self._worker
        if worker is not None:
            worker.send(b"".join(one.octets for one in sent), self._kill_if_hung)
        else:
            self._wanted.set()
        return sent

    def _next(self, done: "SimpleQueue[Waiting]") -> list[Waiting]:
        """Wait for what is done next, and return all that is done by then."""
        while True:
            try:
                found = [done.get(timeout=self._patience())]
                break
            except Empty:
                self._kill_if_hung()
        try:
            while True:
                found.append(done.get_nowait())
        except Empty:
            return found

    def _refuse_if_pausing(self) -> None:
        if self._closed:
            raise TokenFault("the store is closed")
        left = self._restarts.left()
        if left > 0:
            raise TokenFault(
                f"the worker of the PKCS#11 module died {self._restarts.deaths} times in a row;"
                f" the next start is in {left:.1f} seconds"
            )

    def _patience(self) -> float:
        """Return the seconds until the module has had its time for the oldest request."""
        with self._lock:
            oldest = next(iter(self._waiting.values()), None)
            if oldest is None or self._worker is None:
                return _TICK_SECONDS
            return max(_SHORTEST_WAIT_SECONDS, self._deadline(oldest) - time.monotonic())

    def _deadline(self, oldest: Waiting) -> float:
        limit = oldest.limit if self._ready else max(oldest.limit, _START_SECONDS)
        return self._since + limit

    def _kill_if_hung(self) -> None:
        with self._lock:
            oldest = next(iter(self._waiting.values()), None)
            if oldest is None or self._worker is None or self._hung is not None:
                return
            if time.monotonic() >= self._deadline(oldest):
                self._hung = self._waiting.get(self._worker.begun.number(), oldest)
                self._worker.kill()

    def _run(self) -> None:
        """Keep a worker while requests wait, and read its answers."""
        while self._wanted.wait() and not self._closed:
            try:
                worker = self._new_worker()
            except OSError as error:
                self._after_death(f"did not start: {error.strerror}", None)
                continue
            self._read_answers(worker)
            with self._order, self._lock:
                self._worker = None
            how = worker.ended()
            self._after_death(f"died {how}", worker.begun.number())
            worker.begun.close()
        with self._lock:
            left, self._waiting = list(self._waiting.values()), {}
        for waiting in left:
            waiting.fail("the store is closed")

    def _new_worker(self) -> WorkerProcess:
        self._started += 1
        worker = self._start(self._started)
        with self._order:
            with self._lock:
                self._worker, self._hung, self._ready = worker, None, False
                self._since = time.monotonic()
                self._restarts.started(self._since)
                waiting = list(self._waiting.values())
                if self._closed:
                    worker.pipe.end()
            for each in waiting:
                worker.send(each.octets, self._kill_if_hung)
        return worker

    def _read_answers(self, worker: WorkerProcess) -> None:
        while True:
            try:
                answer = worker.pipe.receive()
            except WireError:
                worker.kill()
                return
            if answer is None:
                return
            with self._lock:
                waiting = self._waiting.pop(number(answer, "n"), None)
                self._since, self._ready = time.monotonic(), True
                if "signature" in answer:
                    self._restarts.works()
            if waiting is not None:
                waiting.answer = answer
                waiting.done.put(waiting)

    def _after_death(self, how: str, begun: int | None) -> None:
        """Decide who is sent again, and how long to wait; ``begun`` was a worker's last request."""
        with self._lock:
            if begun in self._waiting and begun != next(iter(self._waiting)):
                # It has signed those before, and died with their signatures in hand.
                self._restarts.works()
            failed = [] if begun is None else self._guilty(how, begun)
            pause = self._restarts.died()
            if pause:
                for waiting in self._waiting.values():
                    waiting.fail(f"the worker of the PKCS#11 module {how}")
                self._waiting.clear()
            if not self._waiting and not self._closed:
                self._wanted.clear()
        if not self._closed:
            _log.warning("pkcs11-worker-ended", extra={"how": how, "pause_seconds": pause})
        for waiting in failed:
            waiting.done.put(waiting)

    def _guilty(self, how: str, begun: int) -> list[Waiting]:
        """Take out the request that the worker died of, unless it may be tried once more."""
        # It may have died before it noted the next one: then that is the oldest, not yet begun.
        asked = begun if begun in self._waiting else next(iter(self._waiting), 0)
        guilty = self._waiting.get(asked)
        if guilty is None:
            return []
        if guilty is self._hung:
            guilty.fault = f"the PKCS#11 module did not answer within {guilty.limit:g} seconds"
        elif guilty.tried or (guilty.once and asked == begun):
            guilty.fault = f"the worker of the PKCS#11 module {how} with this request"
        else:
            guilty.tried = True
            return []
        del self._waiting[asked]
        return [guilty]
