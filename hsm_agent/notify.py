"""Words to the service manager: ready, alive, stopping; nothing where there is none."""

import logging
import os
import socket
from collections.abc import Mapping

_log = logging.getLogger(__name__)
_MICROSECONDS = 1_000_000


class ServiceManager:
    """systemd's notification protocol: datagrams to the socket that ``NOTIFY_SOCKET`` names."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "") if mine else ""
        self._watchdog = int(microseconds) / _MICROSECONDS if microseconds.isdecimal() else 0.0

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life, ``None`` where nobody waits for them."""
        return self._watchdog / 2 if self._address and self._watchdog else None

    def tell(self, *words: str) -> None:
        """Send words such as ``READY=1``."""
        if not self._address:
            return
        # A leading @ stands for the abstract namespace.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.sendto("\n".join(words).encode(), address)
        except OSError as error:
            _log.warning("the service manager was not told %s: %s", words[0], error)
