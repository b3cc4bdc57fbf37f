"""``/livez``, ``/readyz`` and ``/metrics`` as the built-in service ``health``."""

import json
import logging
import threading
import time
from collections.abc import Sequence

import falcon

from pikaserver.api.operations import Health, HealthCheck, HealthState, Metric
from pikaserver.api.web import Route, Security, Service
from pikaserver.web.limits import (
    HEALTH_CACHE_SECONDS,
    HEALTH_CHECK_SECONDS,
    HEALTH_FAILING_SECONDS,
)
from pikaserver.web.metrics import check_metrics, exposition

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
WORST_LAST = (HealthState.OK, HealthState.DEGRADED, HealthState.FAILING)

logger = logging.getLogger(__name__)


def health_service(checks: Sequence[HealthCheck], metrics: Sequence[Metric]) -> Service:
    """Return the service that tells how the node is.

    Raises:
        ConfigurationError: a metric's name is not one, or is given twice.
    """
    check_metrics(metrics)
    routes = [
        Route("/livez", Alive()),
        Route("/readyz", Ready(HealthBoard(checks))),
        Route("/metrics", Metrics(metrics)),
    ]
    return Service("health", Security.PLAIN, routes)


class HealthBoard:
    """Asks all checks at once, waits for none of them long, and remembers for a moment."""

    def __init__(
        self,
        checks: Sequence[HealthCheck],
        patience: float = HEALTH_CHECK_SECONDS,
        memory: float = HEALTH_CACHE_SECONDS,
    ) -> None:
        self._parts = [_Part(check) for check in checks]
        self._patience = patience
        self._memory = memory
        self._lock = threading.Lock()
        self._ask_again_at = float("-inf")
        self._last: dict[str, Health] = {}

    def read(self) -> dict[str, Health]:
        """Return each part's health, at most ``memory`` seconds old.

        While a part is failing it is younger: whoever waits for a start hears of its end at once.
        """
        with self._lock:
            if time.monotonic() >= self._ask_again_at:
                until = time.monotonic() + self._patience
                for part in self._parts:
                    part.ask()
                self._last = {part.name: part.wait(until) for part in self._parts}
                failing = any(one.state is HealthState.FAILING for one in self._last.values())
                memory = min(self._memory, HEALTH_FAILING_SECONDS) if failing else self._memory
                self._ask_again_at = time.monotonic() + memory
            return self._last


class _Part:
    """One check and its thread; a check that hangs is not asked again until it is back."""

    def __init__(self, check: HealthCheck) -> None:
        self.name = check.name
        self._check = check
        self._answered = threading.Event()
        self._answered.set()
        self._is_late = False
        self._health = Health(HealthState.FAILING, "not asked yet")

    def ask(self) -> None:
        if self._answered.is_set():
            self._answered.clear()
            self._is_late = False
            threading.Thread(target=self._run, name=f"health-{self.name}", daemon=True).start()

    def wait(self, until: float) -> Health:
        # Whoever was late once must not make every caller wait again.
        patience = 0.0 if self._is_late else max(0.0, until - time.monotonic())
        if self._answered.wait(patience):
            return self._health
        self._is_late = True
        return Health(HealthState.FAILING, "the check does not answer")

    def _run(self) -> None:
        try:
            self._health = self._check.check()
        except Exception:
            # A check is a plugin's code; what it raises belongs into the log, not on the page.
            logger.exception("health check failed", extra={"event": "health", "part": self.name})
            self._health = Health(HealthState.FAILING, "the check failed; see the log")
        finally:
            self._answered.set()


class Alive:
    """``GET /livez``: the process answers."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Say so."""
        response.data = b'{"state": "ok"}'


class Ready:
    """``GET /readyz``: every part, and 503 while one of them is failing."""

    def __init__(self, board: HealthBoard) -> None:
        self._board = board

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Show the parts."""
        parts = self._board.read()
        state = max((p.state for p in parts.values()), key=WORST_LAST.index, default=HealthState.OK)
        if state is HealthState.FAILING:
            response.status = falcon.HTTP_503
        document = {
            "state": state,
            "parts": {
                name: {"state": part.state, "detail": part.detail} for name, part in parts.items()
            },
        }
        response.data = json.dumps(document).encode()


class Metrics:
    """``GET /metrics`` in Prometheus' text format."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Show the metrics."""
        response.content_type = TEXT_FORMAT
        response.data = exposition(self._metrics)
