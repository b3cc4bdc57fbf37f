"""What waits to be sent on a line; one thread sends it, many messages in one frame."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from hsm_agent.channel.faults import LineFault
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import JournalLines, Message
from hsm_agent.wire.session import MOST_MESSAGES

LINGER_SECONDS = 0.002
"""How long the first message waits for others while many are on their way."""
ENOUGH = 4
"""So many messages do not wait for more."""

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
        self._busy = 0
        self._closed = False
        self._broken: Callable[[], None] = _nothing

    def put(self, *messages: Message) -> None:
        """Have messages sent; on a line that is gone they are dropped."""
        with self._changed:
            if not self._closed:
                self._waiting.extend(messages)
                self._changed.notify()
                if len(self._waiting) >= ENOUGH:
                    self._ended.notify()

    def send(self, *messages: Message) -> None:
        """Do as `put`, in the thread that calls, where nothing else is to be sent now."""
        alone = len(messages) >= ENOUGH or not self._crowded()
        with self._changed:
            direct = alone and not (self._busy or self._waiting or self._closed)
            self._busy += direct
        if not direct:
            self.put(*messages)
            return
        self._send_now(messages)
        with self._changed:
            self._busy -= 1
            self._emptied.notify_all()

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
                lambda: self._closed or not (self._busy or self._waiting), seconds
            )

    def run(self, broken: Callable[[], None]) -> None:
        """Send until `close`; this is the writing thread.  ``broken`` is called when it fails."""
        self._broken = broken
        while batch := self._next():
            self._send_now(batch)
            with self._changed:
                self._busy -= 1
                self._emptied.notify_all()

    def _send_now(self, messages: Sequence[Message]) -> None:
        try:
            self._send(*messages)
        except (LineFault, WireError):
            self.close()
            self._broken()

    def _next(self) -> list[Message]:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            self._busy += 1
            if len(self._waiting) < ENOUGH and not self._closed and self._crowded():
                # What is put meanwhile wakes nobody until it is enough.
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


def _nothing() -> None:
    """Stand for what is done about a broken line before anybody writes on it."""
