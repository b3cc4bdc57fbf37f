"""What was wrong on lines: counted, logged, and audited no more often than a disk can bear."""

import logging
from collections import Counter
from collections.abc import Mapping
from threading import Lock
from time import monotonic

from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.server import Server

REASONS = {
    "tls": "the TLS handshake failed",
    "pin": "its TLS key is not that of an agent which may connect",
    "frame": "a frame was altered, replayed, reordered, late, foreign or not of the protocol",
    "answer": "an answer does not fit its question, or its signature does not verify",
    "enrollment": "an enrolment was refused",
    "slow": "a handshake or a frame took too long",
    "crowd": "there were too many connections",
}
"""Every kind of complaint; labels of a metric come from here alone."""

AUDITED = 10
"""How many lines of the audit trail complaints may take within `PERIOD`."""
PERIOD = 60.0
"""In seconds; the first line of the next one tells how many were passed over."""
ACTOR = "agents"

_log = logging.getLogger(__name__)


class Complaints:
    """Nobody can fill the disk by knocking at the door."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._since = monotonic()
        self._audited = 0
        self._passed_over = 0

    def counts(self) -> Mapping[str, int]:
        """Return how often there was a complaint of each kind."""
        with self._lock:
            return {reason: self._counts[reason] for reason in REASONS}

    def add(self, reason: str, why: str, *, address: str = "", agent: str = "") -> None:
        """Note what somebody did wrong; ``reason`` is one of `REASONS`."""
        with self._lock:
            self._counts[reason] += 1
            passed_over = self._turn()
        fields = {"reason": reason, "why": why, "agent": agent, "address": address}
        _log.warning("agent connection refused", extra={"event": "agents.refused", **fields})
        if passed_over is not None:
            self._audit(fields, passed_over)

    def _turn(self) -> int | None:
        """Return how many lines were passed over before this one, ``None`` if it is, too."""
        now = monotonic()
        if now - self._since > PERIOD:
            self._since, self._audited = now, 0
        if self._audited >= AUDITED:
            self._passed_over += 1
            return None
        self._audited += 1
        passed_over, self._passed_over = self._passed_over, 0
        return passed_over

    def _audit(self, fields: Mapping[str, str], passed_over: int) -> None:
        try:
            with self._server.database.transaction() as connection:
                self._server.audit.record(
                    connection, "agent.refused", ACTOR, **fields, passed_over=passed_over
                )
        except StorageUnavailable:
            _log.warning("complaint not audited", extra={"event": "agents.refused"})
