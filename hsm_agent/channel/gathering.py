"""Requests to sign that wait for a busy key, and then go on together."""

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from hsm_agent.wire.messages import Sign

FEW = 13
"""With so many unanswered requests a key has enough: what comes next waits, and goes on together.

With fewer a token that signs faster than requests are decided has nothing to do now and then.
"""
MOST = 16
"""Requests of one job: the first one's answer waits for no more decisions than these."""

Name: TypeAlias = tuple[bytes, str]
"""A key and an algorithm."""


class Gathering:
    """What waits, by key and algorithm; the busier the key, the more one job takes at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Name, list[Sign]] = defaultdict(list)
        self._unanswered: Counter[Name] = Counter()
        self._beginning: set[Name] = set()

    def put(self, name: Name, requests: Sequence[Sign]) -> bool:
        """Let requests wait; return whether a job has to begin that takes them."""
        with self._lock:
            self._waiting[name].extend(requests)
            return self._begins(name)

    def take(self, name: Name) -> Sequence[Sign]:
        """Return what the job that begins now is to do."""
        with self._lock:
            taken = self._waiting[name][:MOST]
            del self._waiting[name][:MOST]
            self._unanswered[name] += len(taken)
            self._beginning.discard(name)
            return taken

    def answered(self, name: Name, requests: int) -> bool:
        """Note that so many requests of jobs are done with; return whether a job has to begin."""
        with self._lock:
            self._unanswered[name] -= requests
            return self._begins(name)

    def _begins(self, name: Name) -> bool:
        if not self._waiting[name]:
            if not self._unanswered[name]:
                del self._waiting[name], self._unanswered[name]
            return False
        begins = self._unanswered[name] < FEW and name not in self._beginning
        if begins:
            self._beginning.add(name)
        return begins
