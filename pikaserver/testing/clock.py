"""A clock that stands still and randomness that repeats, for reproducible tests."""

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import count


class FrozenClock:
    """A `Clock` that stands still until it is told to move."""

    def __init__(self, at: datetime = datetime(2026, 1, 2, 12, tzinfo=UTC)) -> None:
        self._at = at

    def __call__(self) -> datetime:
        """Return the same moment until somebody advances it."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move on; a negative step plays a clock that was set back."""
        self._at += by


class CountedEntropy:
    """An `Entropy` whose n-th answer is always the same; two seeds share no answer."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed.encode()
        # Counting up is one step for all threads.
        self._numbers = count(1)

    def __call__(self, octets: int) -> bytes:
        """Return so many octets, derived from the seed and the number of this call."""
        number = next(self._numbers)
        return hashlib.shake_256(self._seed + b"/%d" % number).digest(octets)
