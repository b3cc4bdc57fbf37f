"""How long answers of a busy worker wait for each other, so that many wake their reader once."""

import time

_CROWD = 4
"""So many requests that wait are load; so many answers, where there are as many, come at once."""
_LONGEST_SECONDS = 0.02
_WEIGHT = 0.1
"""Of the newest answer in the usual time between two."""


class Lingering:
    """Knows how quickly answers come; for one thread, which reads them."""

    def __init__(self) -> None:
        self._usual = 0.0

    def wait(self, requests: int) -> None:
        """Let answers gather, where the worker has enough to do: half of them, and a few at least.

        It goes on with one half of the requests while the other half is answered and replaced.
        """
        if requests >= _CROWD:
            together = max(_CROWD, requests // 2)
            time.sleep(min(_LONGEST_SECONDS, self._usual * together))

    def note(self, seconds: float) -> None:
        """Take in how long after the one before it an answer came."""
        self._usual += _WEIGHT * (min(seconds, _LONGEST_SECONDS) - self._usual)
