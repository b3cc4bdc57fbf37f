"""One request to the worker of a PKCS#11 module, and whoever waits for its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue

from hsm_agent.stores.store import StoreError, TokenFault
from hsm_agent.wire.encoding import Value


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that was sent, or is sent to the next worker."""

    octets: bytes
    limit: float
    """Seconds that the module may take for it."""
    once: bool
    """Whether it must not be sent again after a worker died of it."""
    place: int
    """Which of the requests that its caller waits for."""
    done: "SimpleQueue[Waiting]"
    """Where its caller waits."""
    tried: bool = False
    answer: Mapping[str, Value] = field(default_factory=dict)
    fault: str = ""

    def fail(self, why: str) -> None:
        """Tell whoever waits that it was not done."""
        self.fault = why
        self.done.put(self)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the request at one place of a list, or why there is none."""

    place: int
    answer: Mapping[str, Value]
    fault: StoreError | None = None


def answer_of(waiting: Waiting) -> Mapping[str, Value]:
    """Return what the worker answered.

    Raises:
        TokenFault: it did not.
    """
    if waiting.fault:
        raise TokenFault(waiting.fault)
    return {**waiting.answer, "tried": True} if waiting.tried else waiting.answer


def answered(sent: int, waiting: Waiting) -> Answered:
    """Return the same for a list of which so many were sent before."""
    place = sent + waiting.place
    if waiting.fault:
        return Answered(place, {}, TokenFault(waiting.fault))
    return Answered(place, answer_of(waiting))
