"""What waits to be sent on a line; one thread sends it, many messages in one frame."""

import threading
from collections import deque
from collections.abc import Callable

from hsm_agent.channel.faults import LineFault
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import JournalLines, Message
from hsm_agent.wire.session import MOST_MESSAGES

LINGER_SECONDS = 0.002
"""How long the first message waits for others while many are on their way."""

Send = Callable[..., None]


class Outbox:
    """Messages in their order; under load they share a frame, and so its signature.

    ``crowded`` tells whether there is load: then a frame waits a moment for more messages.
    """

    def __init__(self, send: Send, crowded: Callable[[], bool]) -> None:
        self._send = send
        self._crowded = crowded
        self._waiting: deque[Message] = deque()
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._emptied = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self._idle = True
        self._closed = False

    def put(self, message: Message) -> None:
        """Have a message sent; on a line that is gone it is dropped."""
        with self._changed:
            if not self._closed:
                self._waiting.append(message)
                self._changed.notify()

    def close(self) -> None:
        """Let go of the sender and of everything that waits."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            for condition in (self._changed, self._emptied, self._ended):
                condition.notify_all()

    def wait_empty(self, seconds: float) -> bool:
        """Wait until everything has been sent, or the line is gone; return whether it was."""
        with self._emptied:
            return self._emptied.wait_for(
                lambda: self._closed or (self._idle and not self._waiting), seconds
            )

    def run(self, broken: Callable[[], None]) -> None:
        """Send until `close`; this is the writing thread.  ``broken`` is called when it fails."""
        while batch := self._next():
            try:
                self._send(*batch)
            except (LineFault, WireError):
                self.close()
                broken()

    def _next(self) -> list[Message]:
        with self._changed:
            self._idle = True
            self._emptied.notify_all()
            self._changed.wait_for(lambda: self._closed or self._waiting)
            self._idle = False
            if self._crowded() and not self._closed:
                # What is put meanwhile wakes nobody.
                self._ended.wait(LINGER_SECONDS)
            batch: list[Message] = []
            while self._waiting and len(batch) < MOST_MESSAGES:
                # Lines of a journal may fill a frame alone.
                if isinstance(self._waiting[0], JournalLines) and batch:
                    break
                batch.append(self._waiting.popleft())
                if isinstance(batch[0], JournalLines):
                    break
            return batch
