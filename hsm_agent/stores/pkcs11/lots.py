"""Answers of a worker that wait for each other, so that many wake their reader once."""

import time
from collections.abc import Callable, Mapping

from hsm_agent.stores.pkcs11.pipe import text
from hsm_agent.wire.encoding import Value

MOST = 8
"""Answers that go together: while those of one lot are taken away, the token has another one."""
LONGEST_SECONDS = 0.01
"""For so long a lot is added to; a token that takes longer for one signature gives each at once."""


class Lot:
    """Signatures that nobody has been given yet; for the one thread of the worker."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._answers: list[bytes] = []
        self._since = 0.0

    def begin(self, request: Mapping[str, Value]) -> None:
        """Take in that a request is begun; nothing waits for what may take long."""
        if not _is_quick(request):
            self.give()
        if not self._answers:
            self._since = time.monotonic()

    def add(self, request: Mapping[str, Value], answer: bytes, *, more: bool) -> None:
        """Give an answer, or keep it for the next one; ``more`` tells whether another one comes."""
        self._answers.append(answer)
        late = time.monotonic() - self._since >= LONGEST_SECONDS
        if late or not more or len(self._answers) >= MOST or not _is_quick(request):
            self.give()

    def give(self) -> None:
        """Send what was kept."""
        if self._answers:
            self._send(b"".join(self._answers))
            self._answers.clear()


def _is_quick(request: Mapping[str, Value]) -> bool:
    """Tell signatures from all else; one with a PIN must be known to be done at once."""
    return text(request, "do") == "sign" and "pin" not in request
