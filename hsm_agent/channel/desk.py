"""What a line needs of the agent behind it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hsm_agent.channel.workers import Workers
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.service import Answer, Request, request_digest
from hsm_agent.wire.messages import Hello, Mark, Node, Refused, Relay, Relayed, Sign
from hsm_agent.wire.refusals import REFUSALS

BUSY_MS = 250
"""When a request that found the window full may come again."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The collaborators of every line.

    ``hello`` makes the first message as things are now, ``sign`` answers requests for one key
    and algorithm as ``Service.sign`` does, ``learned`` takes a node's list of nodes, ``relayed``
    answers the frame of a node that has no line here, ``report`` journals what the other side did
    wrong.
    """

    hello: Callable[[], Hello]
    answer: Callable[[Request, LineFacts], Answer]
    sign: Callable[[Sequence[Sign], LineFacts], Iterator[Sequence[Answer]]]
    mark: Callable[[], Mark]
    learned: Callable[[Sequence[Node]], None]
    relayed: Callable[[Relay, LineFacts], Relayed | Refused]
    report: Callable[[str, Node, str], None]
    workers: Workers
    elapsed: Callable[[], int] = field(repr=False)


def refusal(request: Request | Relay, code: str, why: str, mark: Mark) -> Refused:
    """Return the answer to a request that never reached the service."""
    digest = request_digest(request)
    after = BUSY_MS if code == "busy" else 0
    return Refused(request.id, digest, code, why.encode(), REFUSALS[code], after, mark)
