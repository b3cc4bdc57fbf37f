"""One connection: waitress' channel, bounded in time and deaf to slow peers.

One thread per listener (the loop) reads; worker threads answer.  Three rules keep them apart:
only the loop closes a connection; whoever touches the socket holds ``outbuf_lock``; and a
channel is either *armed*, then the loop waits for its socket, or somebody is at work on it and
arms it again at the end.  So the loop never spins round a worker, and thousands of silent
connections cost nothing.
"""

import logging
import select
import socket
import time
from http import HTTPStatus
from typing import Protocol

from waitress.channel import HTTPChannel

from pikaserver.api.web import ClientConnection
from pikaserver.web.forwarded import Caller, ProxyRules, caller
from pikaserver.web.limits import Limits
from pikaserver.web.peers import Peer
from pikaserver.web.pools import Work
from pikaserver.web.requests import Request
from pikaserver.web.shortcuts import Shortcuts
from pikaserver.web.strict import RequestRefused
from pikaserver.web.tasks import ApplicationTask, RefusalTask
from pikaserver.web.tls_lines import TlsLine

logger = logging.getLogger(__name__)

RECEIVE_OCTETS = 16 * 1024
"""A TLS record's content at most, so that nothing of it stays inside OpenSSL unseen."""
PLAIN_SEND_OCTETS = 128 * 1024


class Owner(Protocol):
    """What channels and tasks need of their server."""

    name: str
    limits: Limits
    rules: ProxyRules
    draining: bool
    shortcuts: Shortcuts
    map: dict[int, object]

    def add_task(self, channel: "Channel") -> None:
        """Queue a channel whose request is complete."""
        ...

    def shake_hands(self, step: Work) -> None:
        """Queue a step of a handshake."""
        ...

    def handshake_failed(self, channel: "Channel", error: Exception) -> None:
        """Count and log it."""
        ...

    def watch(self, fileno: int, interest: int, *, new: bool = False) -> None:
        """Wait for one event of a socket."""
        ...

    def next_request_id(self) -> str:
        """Return a fresh id for a request that the application never sees."""
        ...

    def note_refusal(self, channel: "Channel", error: RequestRefused, request_id: str) -> None:
        """Log why a request was refused."""
        ...

    def left(self, peer: Peer) -> None:
        """Count a connection out."""
        ...


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress ships no types, and is extended so
    """One plain connection."""

    task_class = ApplicationTask
    error_task_class = RefusalTask
    server: Owner
    request: Request | None
    requests: list[Request]
    close_when_flushed: bool

    def __init__(self, server: Owner, sock: socket.socket, peer: Peer, adj: object) -> None:
        self.peer = peer
        self.line: socket.socket | TlsLine = sock
        self.connection = ClientConnection(server.name, peer.address, None)
        self.opened = self.touched = time.monotonic()
        self.answer_began: float | None = None
        self.lingering_since: float | None = None
        self.unread = False
        """The peer may still be writing what nobody reads."""
        super().__init__(server, sock, (peer.address, None), adj, map=server.map)
        self.sendbuf_len = PLAIN_SEND_OCTETS

    def parser_class(self, _adj: object) -> Request:
        """Begin a request (waitress calls this as if it were a class)."""
        return Request(self.server.limits, self._identify, refuse=self.peer.refuse)

    def _identify(self, headers: dict[str, str]) -> Caller:
        return caller(self.connection, headers, self.server.rules, is_proxy=self.peer.is_proxy)

    def add_channel(self, map: object = None) -> None:  # noqa: A002  # waitress' name
        """Join the loop."""
        super().add_channel(map)
        self.server.watch(self._fileno, select.EPOLLIN, new=True)

    def del_channel(self, map: object = None) -> None:  # noqa: A002  # waitress' name
        """Leave the loop; the place is free for another connection."""
        if self._fileno is not None:
            self.server.left(self.peer)
        super().del_channel(map)

    # For what the loop waits.

    @property
    def is_at_work(self) -> bool:
        """Whether a worker has the channel, and will arm it."""
        return bool(self.requests)

    def arm(self) -> None:
        """Let the loop wait for the next event, unless a worker has the channel."""
        if self.is_at_work:
            # Asked before the lock is taken: the loop must not wait for the worker.
            return
        with self.outbuf_lock:
            if self.connected:
                interest = select.EPOLLIN * self.readable() | select.EPOLLOUT * self.writable()
                if interest:
                    self.server.watch(self._fileno, interest)

    def readable(self) -> bool:
        """Tell whether to wait for octets."""
        return self.lingering_since is not None or bool(super().readable())

    def writable(self) -> bool:
        """Tell whether to wait for room to write, or to close.

        Never while a worker answers: a loop that finds the socket writable again and again
        takes the GIL away from the worker.
        """
        if self.lingering_since is not None:
            return bool(self.will_close)
        return bool(self.total_outbufs_len or self.will_close or self.close_when_flushed)

    # What the loop does then.

    def handle_read(self) -> None:
        """Take what has arrived; also what OpenSSL has read already and poll cannot see."""
        pending = True
        while pending and self.connected:
            with self.outbuf_lock:
                octets = self._receive()
                pending = octets is not None and self._pending()
            if octets == b"":
                self.handle_close()
            elif octets and self.lingering_since is None:
                self.touched = time.monotonic()
                self.received(octets)

    def _receive(self) -> bytes | None:
        """Return octets, none at the end, ``None`` when there is nothing yet."""
        try:
            return self.line.recv(RECEIVE_OCTETS)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _pending(self) -> bool:
        return False

    def handle_write(self) -> None:
        """Go on with the answer, then part as was agreed."""
        if not self.connected:
            return
        if not self.requests:
            self.flush()
        if self.close_when_flushed and not self.total_outbufs_len:
            self.close_when_flushed = False
            self._part()
        if self.will_close:
            self.handle_close()

    def _part(self) -> None:
        """End the connection, but let a peer who is still writing read our answer.

        Closing at once would answer the unread octets with a reset, which overtakes the
        answer; so we shut our half and throw away the rest for a moment.
        """
        if not self.unread:
            self.will_close = True
            return
        with self.outbuf_lock:
            self._say_goodbye()
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.will_close = True
        self.lingering_since = time.monotonic()

    def _say_goodbye(self) -> None:
        """TLS has a word for it."""

    def handle_close(self) -> None:
        """Close, but never while somebody uses the socket."""
        with self.outbuf_lock:
            if self.connected:
                self._say_goodbye()
            super().handle_close()

    # What workers do.

    def write_whole(self, octets: bytes) -> None:
        """Send a whole answer; what the socket does not take waits for the loop."""
        with self.outbuf_lock:
            first = octets[: self.sendbuf_len]
            rest = octets[0 if self.total_outbufs_len else self.send(first) :]
            if rest and self.connected:
                # waitress' word for a new buffer: one that is used on and on grows.
                self.current_outbuf_count = self.adj.outbuf_high_watermark
                self.write_soon(rest)

    def send(self, octets: bytes, do_close: object = None) -> int:
        """Send what the socket takes now; a broken one is left for the loop to close."""
        if not self.connected:
            return 0
        try:
            sent = self.line.send(octets)
        except BlockingIOError:
            return 0
        except OSError:
            self.will_close = True
            return 0
        self.touched = time.monotonic()
        return sent

    def flush(self) -> None:
        """Send what is waiting."""
        with self.outbuf_lock:
            if self.connected and self.total_outbufs_len:
                self._flush_exception(self._flush_some)

    def service(self) -> None:
        """Answer one request."""
        self.answer_began = time.monotonic()
        try:
            super().service()
        except Exception:
            # What remains of this connection is not worth keeping.
            logger.exception("answering failed", extra={"listener": self.server.name})
            self.requests = []
            self.will_close = True
        self.touched = time.monotonic()
        self.arm()

    # What the server asks in its rounds.

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        under_way = self.requests or self.request or self.total_outbufs_len
        return not under_way and self.lingering_since is None

    def is_overdue(self, now: float) -> bool:
        """Tell whether the peer let us wait too long."""
        limits = self.server.limits
        if self.lingering_since is not None:
            return now - self.lingering_since > limits.linger_seconds
        if self.requests:
            return False
        if self.total_outbufs_len:
            return (
                now - self.touched > limits.stalled_answer_seconds
                or now - (self.answer_began or self.opened) > limits.answer_seconds
            )
        if self.request is not None:
            finished = self.request.headers_finished
            patience = limits.request_seconds if finished else limits.head_seconds
            return bool(now - self.request.started > patience)
        patience = limits.head_seconds if self.answer_began is None else limits.idle_seconds
        return now - self.touched > patience

    def expire(self) -> None:
        """Close an overdue connection; one in the middle of a request is told so."""
        request = self.request
        if request is None or self.lingering_since is not None or self.total_outbufs_len:
            self.handle_close()
            return
        with self.requests_lock:
            self.request = None
            request.refuse(
                RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly")
            )
            self.requests.append(request)
            self.server.add_task(self)
