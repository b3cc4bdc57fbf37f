"""What the service has to know of the way by which a request came."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineFacts:
    """Who asks, and by which way.

    ``node`` is the number of the server's node, 0 for the operator of this host; ``way`` is
    ``line``, ``relay``, ``offline`` or ``local``.  ``may_sign`` tells, whenever it is asked,
    whether a key may be used for this way now: a line whose newest Ping is too old may not.
    """

    node: int
    way: str
    may_sign: Callable[[], bool]
