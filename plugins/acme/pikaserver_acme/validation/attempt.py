"""One look at the world: how long it may still take, and what was seen, line by line."""

import time
from collections.abc import Callable

SHOWN = 600
LINES = 80


class Failed(Exception):
    """A look that did not find what it should.

    ``error`` is the last word of an ACME error URN; ``again``: another look may find it.
    """

    def __init__(self, error: str, detail: str, *, again: bool = False) -> None:
        super().__init__(detail)
        self.error = error
        # It may hold what others wrote.
        self.detail = printable(detail.strip())
        self.again = again


class Attempt:
    """Ends when its seconds are over, whatever waits; ``lines`` are for client and operator."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._end = monotonic() + seconds
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """Tell what was seen; what others wrote is shortened and stripped of control codes."""
        if len(self.lines) < LINES:
            self.lines.append(printable(line))

    def remaining(self) -> float:
        """Return how many seconds are left.

        Raises:
            Failed: none.
        """
        left = self._end - self._monotonic()
        if left <= 0:
            raise Failed("connection", f"no end after {self._seconds:g} seconds", again=True)
        return left


def printable(text: str) -> str:
    """Return a text of others as one short line; what could steer a terminal is gone."""
    shown = "".join(each if " " <= each <= "~" else "?" for each in text[: SHOWN + 1])
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
