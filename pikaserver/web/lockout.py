"""Who guesses too often has to wait: counted failures, in memory, bounded."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from threading import Lock

from pikaserver.api.errors import TooManyRequests

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(minutes=15)
_MOST_KEYS = 10_000


@dataclass(slots=True)
class _Failures:
    count: int
    until: datetime


class Lockout:
    """Counts failures per key and locks a key that has too many.

    The last failure that is allowed locks for a minute, each further one twice as long, up
    to 15 minutes.  A key is forgotten when it was quiet for 15 minutes after its wait, or
    when too many others came after it: memory stays bounded whatever is sent.
    """

    def __init__(self, clock: Callable[[], datetime], allowed: int) -> None:
        self._clock = clock
        self._allowed = allowed
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = Lock()

    def check(self, key: str) -> None:
        """Return when this key may try.

        Raises:
            TooManyRequests: it has to wait, whatever it knows by now.
        """
        now = self._clock()
        with self._lock:
            failures = self._failures.get(key)
            if failures is not None and now < failures.until:
                wait = ceil((failures.until - now).total_seconds())
                raise TooManyRequests(
                    f"too many wrong attempts; try again in {wait} seconds", retry_after=wait
                )

    def failed(self, key: str) -> None:
        """Count one failure."""
        now = self._clock()
        with self._lock:
            before = self._failures.pop(key, None)
            count = 1
            if before is not None and now - before.until < _LONGEST_WAIT:
                count += before.count
            self._failures[key] = _Failures(count, now + self._wait(count))
            if len(self._failures) > _MOST_KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget this key's failures."""
        with self._lock:
            self._failures.pop(key, None)

    def _wait(self, count: int) -> timedelta:
        beyond = count - self._allowed
        if beyond < 0:
            return timedelta(0)
        # The exponent is capped because the longest wait is reached long before.
        return min(_FIRST_WAIT * (1 << min(beyond, 10)), _LONGEST_WAIT)
