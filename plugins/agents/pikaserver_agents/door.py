"""The socket at which agents knock: open while one may come, and never crowded."""

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from pikaserver.api.errors import ConfigurationError
from pikaserver_agents.complaints import Complaints

BACKLOG = 128
MOST_UNKNOWN = 128
MOST_UNKNOWN_PER_ADDRESS = 16
"""Connections that have not shown yet that they are an agent's line."""
UNACKNOWLEDGED_MS = 5000
"""After so long without an acknowledgement the kernel gives a connection up."""
STOP_SECONDS = 5.0
PAUSE_SECONDS = 0.2

Serve: TypeAlias = Callable[[socket.socket, str, Callable[[], None]], None]
"""Serves a connection from an address; calls the last argument once it is an agent's."""

_log = logging.getLogger(__name__)


class Door:
    """Accepts connections, each in a thread of its own."""

    def __init__(self, host: str, port: int, serve: Serve, complaints: Complaints) -> None:
        self._host = host
        self._port = port
        self._serve = serve
        self._complaints = complaints
        self._lock = threading.Lock()
        self._unknown: Counter[str] = Counter()
        self._threads: set[threading.Thread] = set()
        self._socket: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 while the system has not chosen yet."""
        return self._port

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return self._accepting is not None

    def unknown(self) -> int:
        """Return how many connections have not shown yet that they are an agent's."""
        with self._lock:
            return self._unknown.total()

    def bind(self) -> None:
        """Take the port, without listening yet.

        Raises:
            ConfigurationError: it is taken, or the address is not one of this host.
        """
        if self._socket is not None:
            return
        try:
            self._socket = _bound(self._host, self._port)
        except OSError as error:
            raise ConfigurationError(
                f"agents cannot be awaited at {self._host} port {self._port}:"
                f" {error.strerror or error} (plugins.agents.bind)"
            ) from error
        self._port = self._socket.getsockname()[1]

    def open(self) -> None:
        """Begin to accept.

        Raises:
            ConfigurationError: the port is taken.
        """
        if self.is_open:
            return
        self.bind()
        listening = self._socket
        assert listening is not None  # noqa: S101 - bind() made it
        try:
            listening.listen(BACKLOG)
        except OSError as error:
            self._let_go()
            raise ConfigurationError(
                f"agents cannot be awaited at {self._host} port {self._port}: {error.strerror}"
            ) from error
        self._accepting = threading.Thread(
            target=self._accept, args=(listening,), name="agents-door", daemon=True
        )
        self._accepting.start()
        _log.info("door opened", extra={"event": "agents.door", "port": self._port})

    def close(self) -> None:
        """Accept no more; connections that are there stay."""
        accepting, self._accepting = self._accepting, None
        self._let_go()
        if accepting is not None:
            accepting.join()
            _log.info("door closed", extra={"event": "agents.door", "port": self._port})

    def join(self) -> None:
        """Wait, within reason, until every connection has ended."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(STOP_SECONDS)

    def _let_go(self) -> None:
        taken, self._socket = self._socket, None
        if taken is not None:
            try:
                taken.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            except OSError:
                _log.debug("the door was not open")
            taken.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                line, address = listening.accept()
            except OSError:
                if listening.fileno() < 0 or self._socket is not listening:
                    return
                _log.warning("connection not accepted", extra={"event": "agents.door"})
                time.sleep(PAUSE_SECONDS)  # out of descriptors: some will end
                continue
            self._begin(line, str(address[0]))

    def _begin(self, line: socket.socket, address: str) -> None:
        with self._lock:
            crowd = self._unknown.total() >= MOST_UNKNOWN
            if crowd or self._unknown[address] >= MOST_UNKNOWN_PER_ADDRESS:
                line.close()
                why = "too many connections that are not an agent's"
            else:
                self._unknown[address] += 1
                why = ""
        if why:
            self._complaints.add("crowd", why, address=address)
            return
        thread = threading.Thread(
            target=self._work, args=(line, address), name=f"agent-from-{address}", daemon=True
        )
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _work(self, line: socket.socket, address: str) -> None:
        left = False

        def leave() -> None:
            nonlocal left
            with self._lock:
                if not left:
                    left = True
                    self._unknown -= Counter([address])

        try:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
            self._serve(line, address, leave)
        except Exception:  # noqa: BLE001 - the thread of a connection is one of the three places
            _log.exception("connection failed", extra={"event": "agents.line", "from": address})
        finally:
            leave()
            line.close()
            with self._lock:
                self._threads.discard(threading.current_thread())


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
