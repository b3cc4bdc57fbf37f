"""The time that is stamped: it never runs back, and a step of the clock stops the service."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from pikaserver.api.errors import PikaserverError, Unavailable
from pikaserver.api.operations import Alarm, Health, HealthState
from pikaserver.api.server import Server
from pikaserver_tsa import storage

STORED_EVERY = timedelta(seconds=1)
"""So far at most the stored time lies behind the one that was stamped last."""

_log = logging.getLogger(__name__)


class ClockInDoubt(Unavailable):
    """Nobody can say for sure what time it is; RFC 3161 calls it timeNotAvailable."""


class TrustedClock:
    """Compares the system's clock with a monotonic one and with what was stamped before.

    A step of more than ``tolerance`` in either direction, and a clock that is behind what any
    node has stamped already, stop the service and are announced.  After a step it goes on
    once the clock has run evenly for ``settle``.
    """

    def __init__(
        self,
        server: Server,
        tolerance: timedelta,
        settle: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._tolerance = tolerance
        self._settle = settle
        self.monotonic = monotonic
        self._lock = Lock()
        self._reference: tuple[datetime, float] | None = None
        self._stepped_at: float | None = None
        self._seen: datetime | None = None
        self._last: datetime | None = None
        self._before: datetime | None = None
        """What was stamped before this start is earlier."""
        self._fault: str | None = None

    def now(self, *, strictly_later: bool = False) -> datetime:
        """Return the time to stamp with; with ``strictly_later`` no two are the same.

        Raises:
            ClockInDoubt: the time is in doubt.
            StorageUnavailable: it cannot be remembered that this time was stamped.
        """
        with self._lock:
            moment = self._checked()
            if strictly_later:
                moment = self._later(moment)
            self._remember(moment)
            self._last = max(moment, self._last or moment)
            return moment

    def health(self) -> Health:
        """Tell whether the time is in doubt now; nobody has to ask for a time-stamp before."""
        try:
            with self._lock:
                self._checked()
        except PikaserverError as doubt:
            # Never worse: a node that is taken away could not even serve its CRLs.
            return Health(HealthState.DEGRADED, str(doubt))
        return Health(HealthState.OK, "the clock runs evenly")

    def _checked(self) -> datetime:
        moment = self._server.clock()
        self._check_step(moment)
        self._check_past(moment)
        self._fault = None
        return moment

    def _later(self, moment: datetime) -> datetime:
        """Return this time, or the next one after what was stamped last."""
        if self._before is not None and moment <= self._before:
            raise self._doubt("this time may have been stamped before the start", alarm=False)
        if self._last is None:
            return moment
        return max(moment, self._last + timedelta(microseconds=1))

    def _check_step(self, moment: datetime) -> None:
        """Compare how far both clocks went since they were compared first."""
        ticks = self.monotonic()
        at, then = self._reference or (moment, ticks)
        off = (moment - at) - timedelta(seconds=ticks - then)
        if self._reference is None or abs(off) > self._tolerance:
            self._reference = (moment, ticks)
        if abs(off) > self._tolerance:
            self._stepped_at = ticks
            raise self._doubt(f"the clock stepped by {off.total_seconds():+.1f} s", alarm=True)
        if self._stepped_at is None:
            return
        if timedelta(seconds=ticks - self._stepped_at) < self._settle:
            raise self._doubt("the clock stepped a moment ago and is watched", alarm=False)
        self._stepped_at = None

    def _check_past(self, moment: datetime) -> None:
        """Compare with what was stamped; before it is called past, the database is asked again.

        An operator may have accepted the clock meanwhile.
        """
        if self._seen is None or self._is_past(moment, self._seen):
            with self._server.database.reading() as connection:
                self._seen = storage.last_seen(connection)
            if self._last is None and self._seen is not None:
                self._before = self._seen + STORED_EVERY
        if self._is_past(moment, self._seen):
            raise self._past(moment, self._seen)

    def _is_past(self, moment: datetime, seen: datetime | None) -> bool:
        return seen is not None and moment < seen - self._tolerance

    def _past(self, moment: datetime, seen: datetime | None) -> ClockInDoubt:
        return self._doubt(
            f"the clock says {moment:%Y-%m-%d %H:%M:%S}, but {seen:%Y-%m-%d %H:%M:%S} was"
            " stamped already; put it right, or see 'pikaserver tsa accept-clock'",
            alarm=self._fault is None,
        )

    def _doubt(self, why: str, *, alarm: bool) -> ClockInDoubt:
        self._fault = why
        if alarm:
            _log.error("time in doubt", extra={"event": "tsa.clock", "why": why})
            self._server.announce(Alarm("tsa.clock", why))
        return ClockInDoubt(why)

    def _remember(self, moment: datetime) -> None:
        """Store the time once a second, and see what other nodes have stamped meanwhile."""
        if self._seen is not None and moment < self._seen + STORED_EVERY:
            return
        with self._server.database.transaction() as connection:
            seen = storage.last_seen(connection)
            if self._is_past(moment, seen):
                raise self._past(moment, seen)
            storage.see(connection, self._server.node, moment)
        self._seen = moment
