"""How long to wait before a worker is started again, by how often it died."""

import time

_LONG_LIFE_SECONDS = 60.0
_FREE_RESTARTS = 2
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0


class Restarts:
    """Counts deaths in a row; a signature, or a long life, begins anew."""

    def __init__(self) -> None:
        self.deaths = 0
        self._started_at = 0.0
        self._pause_until = 0.0

    def started(self, now: float) -> None:
        """Take in when a worker was started (monotonic seconds)."""
        self._started_at = now

    def works(self) -> None:
        """Take in that the worker signed."""
        self.deaths = 0

    def left(self) -> float:
        """Return the seconds until the next start; not more than 0 when it may be now."""
        return self._pause_until - time.monotonic()

    def died(self) -> float:
        """Count a death, and return the seconds before the next start."""
        now = time.monotonic()
        if now - self._started_at > _LONG_LIFE_SECONDS:
            self.deaths = 0
        self.deaths += 1
        doublings = self.deaths - _FREE_RESTARTS - 1
        if doublings < 0:
            return 0.0
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(doublings, 16))
        self._pause_until = now + pause
        return pause
