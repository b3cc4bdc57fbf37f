"""Requests to sign that wait for a busy key, and then go on together."""

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from hsm_agent.wire.messages import Sign

MOST = 8
"""Requests of one job, a lot: while the token signs one, the next is answered and decided."""
ENOUGH = MOST + 1
"""With so many unanswered requests a key has enough: what comes next waits, and goes on together.

With fewer a token that signs faster than requests are decided has nothing to do now and then.
"""
LARGE = 1 << 16
"""Octets that take long to read, of a CRL: nothing else is held up by them."""


class Kind(NamedTuple):
    """What may be one job: requests for one key and algorithm."""

    key: bytes
    algorithm: str
    large: bool

    @classmethod
    def of(cls, request: Sign) -> "Kind":
        """Return the kind of a request."""
        return cls(request.key, request.algorithm, len(request.tbs) > LARGE)


class Gathering:
    """What waits, by kind; the busier the key, the more one job takes at once.

    Of each kind one job is decided at a time: others would only be in its way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Kind, list[Sign]] = defaultdict(list)
        self._unanswered: Counter[Kind] = Counter()
        self._deciding: set[Kind] = set()

    def put(self, kind: Kind, requests: Sequence[Sign]) -> bool:
        """Let requests wait; return whether a job has to begin that takes them."""
        with self._lock:
            self._waiting[kind].extend(requests)
            return self._begins(kind)

    def take(self, kind: Kind) -> Sequence[Sign]:
        """Return what the job that begins now is to do."""
        with self._lock:
            taken = self._waiting[kind][:MOST]
            del self._waiting[kind][:MOST]
            self._unanswered[kind] += len(taken)
            return taken

    def decided(self, kind: Kind) -> bool:
        """Note that all of a job is decided; return whether the next one has to begin."""
        with self._lock:
            self._deciding.discard(kind)
            return self._begins(kind)

    def answered(self, kind: Kind, requests: int) -> bool:
        """Note that so many requests of jobs are done with; return whether a job has to begin."""
        with self._lock:
            self._unanswered[kind] -= requests
            return self._begins(kind)

    def _begins(self, kind: Kind) -> bool:
        if not self._waiting[kind]:
            if not self._unanswered[kind]:
                del self._waiting[kind], self._unanswered[kind]
            return False
        begins = self._unanswered[kind] < ENOUGH and kind not in self._deciding
        if begins:
            self._deciding.add(kind)
        return begins
