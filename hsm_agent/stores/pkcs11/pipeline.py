"""Many callers, one worker: requests in a row, and a new worker where one dies or hangs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hsm_agent.stores.pkcs11.pipe import framed, number
from hsm_agent.stores.pkcs11.worker_process import WorkerProcess
from hsm_agent.stores.store import TokenFault
from hsm_agent.wire.encoding import Value
from hsm_agent.wire.errors import WireError

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
"""How long a request waits at once while no worker is there to measure."""
_SHORTEST_WAIT_SECONDS = 0.05
_START_SECONDS = 30.0
"""What an interpreter may take to start on a busy machine; the module has nothing to do yet."""
_END_SECONDS = 2.0
_LONG_LIFE_SECONDS = 60.0
_FREE_RESTARTS = 2
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0

Start = Callable[[int], WorkerProcess]
"""Starts a worker; the number counts them."""


@dataclass(slots=True, eq=False)
class _Waiting:
    octets: bytes
    limit: float
    """Seconds that the module may take for it."""
    once: bool
    """Whether it must not be sent again after a worker died of it."""
    tried: bool = False
    answer: Mapping[str, Value] = field(default_factory=dict)
    fault: str = ""
    done: threading.Event = field(default_factory=threading.Event)

    def fail(self, why: str) -> None:
        self.fault = why
        self.done.set()


def _answer(waiting: _Waiting) -> Mapping[str, Value]:
    if waiting.fault:
        raise TokenFault(waiting.fault)
    return {**waiting.answer, "tried": True} if waiting.tried else waiting.answer


class Pipeline:
    """Sends what callers ask, in order, and hands each of them its answer.

    The worker does one request after the other, so the oldest one without an answer is the one
    that it died of, or hangs in; those behind it were not begun and are sent to the next worker.
    """

    def __init__(self, start: Start, window: int) -> None:
        self._start = start
        self._window = threading.BoundedSemaphore(window)
        self._lock = threading.Lock()
        self._order = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._worker: WorkerProcess | None = None
        self._asked = 0
        self._started = 0
        self._started_at = 0.0
        self._ready = False
        self._deaths = 0
        self._pause_until = 0.0
        self._since = 0.0
        self._hung: _Waiting | None = None
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
                waiting = self._submitted(request, limit, once=once)
            while not waiting.done.wait(self._patience()):
                self._kill_if_hung()
        return _answer(waiting)

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
            waiting = self._submitted(request, limit, once=False)
        finally:
            self._order.release()
        while not waiting.done.wait(min(self._patience(), until - time.monotonic())):
            self._kill_if_hung()
            if time.monotonic() >= until:
                return None
        return _answer(waiting)

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

    def _submitted(self, request: Mapping[str, Value], limit: float, *, once: bool) -> _Waiting:
        """Send a request, by whoever holds the order: those behind wait, as the worker does."""
        with self._lock:
            self._refuse_if_pausing()
            self._asked += 1
            waiting = _Waiting(framed({**request, "n": self._asked}), limit, once)
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting[self._asked] = waiting
            worker = self._worker
        if worker is not None:
            worker.send(waiting.octets, self._kill_if_hung)
        else:
            self._wanted.set()
        return waiting

    def _refuse_if_pausing(self) -> None:
        if self._closed:
            raise TokenFault("the store is closed")
        left = self._pause_until - time.monotonic()
        if left > 0:
            raise TokenFault(
                f"the worker of the PKCS#11 module died {self._deaths} times in a row; the next"
                f" start is in {left:.1f} seconds"
            )

    def _patience(self) -> float:
        """Return the seconds until the module has had its time for the oldest request."""
        with self._lock:
            oldest = next(iter(self._waiting.values()), None)
            if oldest is None or self._worker is None:
                return _TICK_SECONDS
            return max(_SHORTEST_WAIT_SECONDS, self._deadline(oldest) - time.monotonic())

    def _deadline(self, oldest: _Waiting) -> float:
        limit = oldest.limit if self._ready else max(oldest.limit, _START_SECONDS)
        return self._since + limit

    def _kill_if_hung(self) -> None:
        with self._lock:
            oldest = next(iter(self._waiting.values()), None)
            if oldest is None or self._worker is None or self._hung is not None:
                return
            if time.monotonic() >= self._deadline(oldest):
                self._hung = oldest
                self._worker.kill()

    def _run(self) -> None:
        """Keep a worker while requests wait, and read its answers."""
        while self._wanted.wait() and not self._closed:
            try:
                worker = self._new_worker()
            except OSError as error:
                self._after_death(f"did not start: {error.strerror}", begun=False)
                continue
            self._read_answers(worker)
            with self._order, self._lock:
                self._worker = None
            self._after_death(f"died {worker.ended()}", begun=True)
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
                self._since = self._started_at = time.monotonic()
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
                    self._deaths = 0
            if waiting is not None:
                waiting.answer = answer
                waiting.done.set()

    def _after_death(self, how: str, *, begun: bool) -> None:
        """Decide who is sent again, and how long to wait with that."""
        with self._lock:
            failed = self._guilty(how) if begun else []
            pause = self._pause()
            if pause:
                self._pause_until = time.monotonic() + pause
                for waiting in self._waiting.values():
                    waiting.fail(f"the worker of the PKCS#11 module {how}")
                self._waiting.clear()
            if not self._waiting and not self._closed:
                self._wanted.clear()
        if not self._closed:
            _log.warning("pkcs11-worker-ended", extra={"how": how, "pause_seconds": pause})
        for waiting in failed:
            waiting.done.set()

    def _guilty(self, how: str) -> list[_Waiting]:
        """Take out the request that the worker died of, unless it may be tried once more."""
        asked, oldest = next(iter(self._waiting.items()), (0, None))
        if oldest is None:
            return []
        if oldest is self._hung:
            oldest.fault = f"the PKCS#11 module did not answer within {oldest.limit:g} seconds"
        elif oldest.once or oldest.tried:
            oldest.fault = f"the worker of the PKCS#11 module {how} with this request"
        else:
            oldest.tried = True
            return []
        del self._waiting[asked]
        return [oldest]

    def _pause(self) -> float:
        """Count a death, and return the seconds before the next start."""
        if time.monotonic() - self._started_at > _LONG_LIFE_SECONDS:
            self._deaths = 0
        self._deaths += 1
        doublings = self._deaths - _FREE_RESTARTS - 1
        if doublings < 0:
            return 0.0
        return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(doublings, 16))
