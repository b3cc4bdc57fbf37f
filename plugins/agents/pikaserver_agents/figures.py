"""What is counted for metrics: signatures, how long they took, refusals, fail-overs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts at one moment: ``seconds`` is how long all signatures of an agent took."""

    signatures: Mapping[str, int]
    seconds: Mapping[str, float]
    refusals: Mapping[tuple[str, str], int]
    failovers: int


class Figures:
    """Counts since the start of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._signatures: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._failovers = 0

    def signed(self, agent: str, seconds: float) -> None:
        """Count a signature and how long it took."""
        with self._lock:
            self._signatures[agent] += 1
            self._seconds[agent] = self._seconds.get(agent, 0.0) + seconds

    def refused(self, agent: str, code: str) -> None:
        """Count a refusal; the code is one of the protocol's."""
        with self._lock:
            self._refusals[agent, code] += 1

    def failed_over(self) -> None:
        """Count a request that another agent has to answer."""
        with self._lock:
            self._failovers += 1

    def read(self) -> Counted:
        """Return the counts."""
        with self._lock:
            return Counted(
                dict(self._signatures), dict(self._seconds), dict(self._refusals), self._failovers
            )
