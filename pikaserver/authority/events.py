"""Tells observers after the deed; what goes wrong there is logged and stays there."""

import logging
from collections.abc import Sequence

from pikaserver.api.operations import Event, Observer

_log = logging.getLogger(__name__)


class Events:
    """Announces what happened to all observers."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observers: Sequence[Observer]) -> None:
        """Let more observers listen; called while the server starts."""
        self._observers.extend(observers)

    def announce(self, event: Event) -> None:
        """Tell everybody; the deed is done and durable, so no error comes back from here."""
        for observer in self._observers:
            try:
                observer.notice(event)
            except Exception:  # noqa: BLE001 - a plugin's failure concerns nobody else
                _log.exception(
                    "observer failed",
                    extra={"event": type(event).__name__, "observer": type(observer).__name__},
                )
