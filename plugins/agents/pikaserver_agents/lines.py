"""The lines of this process: which agent has one, and whose turn it is to sign."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from pikaserver.api.errors import KeyUnavailable
from pikaserver_agents.line import Line

Rank: TypeAlias = Callable[[str], tuple[bool, str]]
"""Says how much an agent is preferred: the lowest is asked first, equals share the work."""

AGAIN_SECONDS = 2
"""When a request that found the queue full may come again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to ask for a signature: any agent with this key that was not ``tried`` yet.

    Whoever finds no place waits until ``until`` (monotonic seconds).
    """

    spki_hash: bytes
    rank: Rank
    tried: frozenset[str]
    until: float


class Lines:
    """Every line to this process, at most one for each agent."""

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._changed = threading.Condition()
        self._lines: dict[str, Line] = {}
        self._waiting: Counter[bytes] = Counter()

    def add(self, line: Line) -> None:
        """Take up a line; one that the same agent had before is cut."""
        with self._changed:
            before = self._lines.get(line.agent)
            self._lines[line.agent] = line
            self._changed.notify_all()
        if before is not None:
            before.cut("the agent came again")

    def remove(self, line: Line) -> bool:
        """Forget a line that ended; ``False`` if its agent has a newer one."""
        with self._changed:
            newest = self._lines.get(line.agent) is line
            if newest:
                del self._lines[line.agent]
            self._changed.notify_all()
            return newest

    def get(self, agent: str) -> Line | None:
        """Return an agent's line that can be used, ``None`` where it has none here."""
        line = self._lines.get(agent)
        return line if line is not None and line.ready and not line.closed else None

    def present(self) -> Mapping[str, Line]:
        """Return all lines by their agents, those that are not ready yet too."""
        with self._changed:
            return dict(self._lines)

    def make_ready(self, line: Line) -> None:
        """Let an agent be asked."""
        with self._changed:
            line.ready = True
            self._changed.notify_all()

    def take(self, wish: Wish) -> Line | None:
        """Return a line with a place for one more request, which `release` gives back.

        Returns:
            ``None`` where no agent that may be asked has a line here.

        Raises:
            KeyUnavailable: too many wait already, or there was no place in time.
        """
        with self._changed:
            while candidates := self._best(wish):
                line = min(candidates, key=lambda one: one.in_flight)
                if line.in_flight < line.window:
                    line.in_flight += 1
                    return line
                self._wait(wish)
        return None

    def release(self, line: Line) -> None:
        """Give the place on a line back."""
        with self._changed:
            line.in_flight -= 1
            if self._waiting.total():
                self._changed.notify_all()

    def waiting(self) -> Mapping[bytes, int]:
        """Return how many requests wait for a place, by key."""
        with self._changed:
            return {key: count for key, count in self._waiting.items() if count}

    def _best(self, wish: Wish) -> list[Line]:
        able = [
            line
            for line in self._lines.values()
            if line.agent not in wish.tried and line.can_sign(wish.spki_hash)
        ]
        best = min((wish.rank(line.agent) for line in able), default=None)
        return [line for line in able if wish.rank(line.agent) == best]

    def _wait(self, wish: Wish) -> None:
        if self._waiting[wish.spki_hash] >= self._queue:
            raise KeyUnavailable("too many requests wait for this key", AGAIN_SECONDS)
        self._waiting[wish.spki_hash] += 1
        try:
            placed = self._changed.wait(wish.until - monotonic())
        finally:
            self._waiting[wish.spki_hash] -= 1
        if not placed and monotonic() >= wish.until:
            raise KeyUnavailable("the key is busy for too long", AGAIN_SECONDS)
