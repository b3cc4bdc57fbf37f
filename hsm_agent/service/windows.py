"""How many requests may be on their way to one key, and to one store, at once."""

from collections import Counter
from collections.abc import Callable
from threading import Lock

from hsm_agent.service.refusing import Refusal

MOST_OF_A_STORE = 256
SHORTEST_AFTER, LONGEST_AFTER = 20, 10_000
"""Milliseconds after which a request that found no place may come again."""
_WEIGHT = 0.2


class Windows:
    """Counts requests; whoever finds no place is told when to come again."""

    def __init__(self, elapsed: Callable[[], int]) -> None:
        self._elapsed = elapsed
        self._lock = Lock()
        self._inside: Counter[str] = Counter()
        self._usual: dict[str, float] = {}

    def enter(self, name: str, window: int) -> int:
        """Take a place for the key of this name (``STORE/LABEL``) and in its store.

        Returns:
            When it was taken, which `leave` wants to know.

        Raises:
            Refusal: ``busy``.
        """
        store = name.partition("/")[0]
        with self._lock:
            if self._inside[name] >= window or self._inside[store] >= MOST_OF_A_STORE:
                raise Refusal(
                    "busy", f"{self._inside[name]} requests wait", after=self._after(name)
                )
            self._inside[name] += 1
            self._inside[store] += 1
            return self._elapsed()

    def leave(self, name: str, begun: int) -> None:
        """Give a place back."""
        with self._lock:
            self._inside[name] -= 1
            self._inside[name.partition("/")[0]] -= 1
            taken = self._elapsed() - begun
            usual = self._usual.get(name, taken)
            self._usual[name] = usual + _WEIGHT * (taken - usual)

    def waiting(self) -> int:
        """Return how many requests are on their way to keys."""
        with self._lock:
            return sum(count for name, count in self._inside.items() if "/" in name)

    def _after(self, name: str) -> int:
        """Guess when a place is free: a request's usual time is spent waiting for the others."""
        return int(min(LONGEST_AFTER, max(SHORTEST_AFTER, self._usual.get(name, 0) / 2)))
