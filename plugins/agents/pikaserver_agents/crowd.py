"""Whether there is load on a line: then requests wait for each other, to share a frame."""

from collections.abc import Callable, Sized

CROWD = 8
"""So many unanswered requests are load."""
MEMORY_SECONDS = 0.03
"""For so long there still is, when all were answered at once and the next ones are on their way."""


class Crowd:
    """Call it to know; ``asked`` are the requests without an answer, ``now`` is in seconds."""

    def __init__(self, asked: Sized, now: Callable[[], float]) -> None:
        self._asked = asked
        self._now = now
        self._until = now()

    def __call__(self) -> bool:
        """Tell whether there is load, or was a moment ago."""
        now = self._now()
        if len(self._asked) >= CROWD:
            self._until = now + MEMORY_SECONDS
        return now < self._until
