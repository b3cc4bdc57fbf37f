"""Signatures that one line asks for, as jobs of the agent's threads."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from hsm_agent.channel.desk import Desk
from hsm_agent.channel.gathering import Gathering, Kind
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.wire.messages import Message, Sign


class Jobs:
    """Takes requests and gives answers; each request has a place among those that may wait.

    Args:
        desk: signs, and has the threads.
        facts: returns those of the line, ``None`` when it is gone and nobody wants answers.
        give: takes answers.
        refuse: takes a request that there is no place for.
        count: is told how many requests more, or fewer, have no answer.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        facts: Callable[[], LineFacts | None],
        give: Callable[[Sequence[Message]], None],
        refuse: Callable[[Sign, str, str], None],
        count: Callable[[int], None],
    ) -> None:
        self._desk = desk
        self._facts = facts
        self._give = give
        self._refuse = refuse
        self._count = count
        self._gathering = Gathering()

    def take(self, requests: Sequence[Sign]) -> None:
        """Have signatures made that came together, those for which there is room."""
        wanted: dict[Kind, list[Sign]] = defaultdict(list)
        for request in requests:
            wanted[Kind.of(request)].append(request)
        for kind, some in wanted.items():
            self._take(kind, some)

    def _take(self, kind: Kind, requests: Sequence[Sign]) -> None:
        places = self._desk.workers.reserve(len(requests))
        for request in requests[places:]:
            self._refuse(request, "busy", "too many requests wait")
        self._count(places)
        if places and self._gathering.put(kind, requests[:places]):
            self._begin(kind)

    def _begin(self, kind: Kind) -> None:
        """Have a job begin; its requests have their places already."""
        self._desk.workers.submit(partial(self._work, kind), 0)

    def _work(self, kind: Kind) -> None:
        requests = self._gathering.take(kind)
        left = len(requests)
        deciding = True
        try:
            for answers in self._answers(requests):
                if deciding:
                    deciding = False
                    self._decided(kind)
                if answers:
                    self._give(answers)
                    left -= len(answers)
                    self._leave(kind, len(answers))
        finally:
            self._leave(kind, left)
            if deciding:
                self._decided(kind)

    def _answers(self, requests: Sequence[Sign]) -> Iterator[Sequence[Message]]:
        facts = self._facts()
        if facts is not None:
            yield from self._desk.sign(requests, facts)

    def _decided(self, kind: Kind) -> None:
        if self._gathering.decided(kind):
            self._begin(kind)

    def _leave(self, kind: Kind, requests: int) -> None:
        """Give places back; others may go on in their stead."""
        self._count(-requests)
        self._desk.workers.release(requests)
        if self._gathering.answered(kind, requests):
            self._begin(kind)
