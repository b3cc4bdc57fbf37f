"""How long to wait before the next try, so that many agents do not come at once."""

from collections.abc import Callable

SHORTEST = 0.2
LONGEST = 30.0
"""Seconds."""
_OCTETS = 4


class Backoff:
    """Doubles the wait with each failure and takes a random part of it."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._failures = 0

    def next_wait(self) -> float:
        """Return the seconds to wait now; the next wait may be twice as long."""
        longest = min(LONGEST, SHORTEST * (2 << min(self._failures, 16)))
        self._failures += 1
        part = int.from_bytes(self._entropy(_OCTETS), "big") / (1 << 8 * _OCTETS)
        return SHORTEST + (longest - SHORTEST) * part

    def reset(self) -> None:
        """Begin again with short waits: a line was good."""
        self._failures = 0
