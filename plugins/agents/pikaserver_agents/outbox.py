"""What waits to be sent on a line; messages that wait at the same time share a frame."""

import threading
from collections import deque
from collections.abc import Callable

from hsm_agent.wire.messages import Message, Relay, Sign
from hsm_agent.wire.session import MOST_MESSAGES

FULL_FRAME = 1024 * 1024
"""Octets after which the next message has to wait for the next frame."""
LINGER_SECONDS = 0.004
"""How long the first message waits for others while many are on their way."""
ENOUGH = 8
"""So many messages do not wait for more."""


class Outbox:
    """Messages in their order; any thread puts, one takes.

    ``crowded`` tells whether there is load: then a frame, which costs two signatures' work,
    waits a moment for more messages.
    """

    def __init__(self, crowded: Callable[[], bool]) -> None:
        self._crowded = crowded
        self._waiting: deque[Message] = deque()
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self._closed = False

    def put(self, *messages: Message) -> None:
        """Have messages sent; on a line that is gone they are dropped."""
        with self._changed:
            if not self._closed:
                self._waiting.extend(messages)
                self._changed.notify()
                if len(self._waiting) >= ENOUGH:
                    self._ended.notify()

    def is_idle(self) -> bool:
        """Tell whether a message that is sent beside this one overtakes nothing, nor a crowd."""
        return not (self._waiting or self._closed or self._crowded())

    def close(self) -> None:
        """Send what waits, and nothing after that."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            self._ended.notify()

    def next_batch(self) -> list[Message]:
        """Wait for messages and return as many as one frame takes; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if len(self._waiting) < ENOUGH and not self._closed and self._crowded():
                # What is put meanwhile wakes nobody until it is enough.
                self._ended.wait(LINGER_SECONDS)
            batch: list[Message] = []
            octets = 0
            while self._waiting and len(batch) < MOST_MESSAGES:
                octets += _size(self._waiting[0])
                if batch and octets > FULL_FRAME:
                    break
                batch.append(self._waiting.popleft())
            return batch


def _size(message: Message) -> int:
    if isinstance(message, Sign):
        return len(message.tbs) + len(message.content)
    return len(message.frame) if isinstance(message, Relay) else 0
