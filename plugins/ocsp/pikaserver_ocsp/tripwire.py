"""Somebody shows a certificate that was never made: told at once, but not a thousand times."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from pikaserver.api.operations import Alarm, Clock, Event
from pikaserver_ocsp.counting import Counts

QUIET = timedelta(minutes=1)
"""After an alarm about an authority the next one waits so long."""

NAME = "ocsp.never-issued"

_SHOWN_DIGITS = 40

_log = logging.getLogger(__name__)


class Tripwire:
    """Raises alarms about serial numbers that an authority never gave out."""

    def __init__(self, announce: Callable[[Event], None], counts: Counts, clock: Clock) -> None:
        self._announce = announce
        self._counts = counts
        self._clock = clock
        self._lock = Lock()
        self._quiet_until: dict[str, datetime] = {}
        self._untold: Counter[str] = Counter()

    def touched(self, authority: str, serial: int, address: str | None) -> None:
        """Tell of a question for a serial number of an authority, from an address."""
        self._counts.never_issued(authority)
        untold = self._due(authority)
        if untold is None:
            return
        shown = f"{serial:X}"[:_SHOWN_DIGITS]
        fields = {"authority": authority, "serial": shown, "untold": str(untold)}
        if address is not None:
            fields["client"] = address
        text = (
            f"the status of serial number {shown} was asked for, which authority {authority!r}"
            " never gave out: a certificate may be forged, or its issuance lost"
        )
        _log.warning("never issued", extra={"event": NAME, **fields})
        self._announce(Alarm(NAME, text, fields))

    def _due(self, authority: str) -> int | None:
        """Return how many questions were not told since the last alarm, ``None`` to wait."""
        now = self._clock()
        with self._lock:
            until = self._quiet_until.get(authority)
            # A clock that was put back must not silence the alarm for longer.
            if until is not None and until - QUIET <= now < until:
                self._untold[authority] += 1
                return None
            self._quiet_until[authority] = now + QUIET
            return self._untold.pop(authority, 0)
