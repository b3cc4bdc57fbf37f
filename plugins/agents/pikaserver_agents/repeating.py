"""Work that goes on for as long as the listener runs, in threads that nothing ends by accident."""

import logging
import threading
from collections.abc import Callable

from pikaserver.api.errors import StorageUnavailable

PAUSE_SECONDS = 1.0
"""After a step that failed."""

_log = logging.getLogger(__name__)


class Repeating:
    """Does one step again and again, in a thread of its own."""

    def __init__(self, name: str, step: Callable[[], None], every: float = 0.0) -> None:
        self._name = name
        self._step = step
        self._every = every
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether a step that takes long should end."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin; return at once."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when the step that runs has ended."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self._step()
            except StorageUnavailable as error:
                extra = {"event": "agents.storage", "work": self._name, "why": str(error)}
                _log.warning("to be done later", extra=extra)
                self._stopping.wait(PAUSE_SECONDS)
            except Exception:  # noqa: BLE001 - like the job runner: one failure ends no work
                _log.exception("step failed", extra={"event": "agents.fault", "work": self._name})
                self._stopping.wait(PAUSE_SECONDS)
