"""One listening socket: who may come in, the rounds that end what takes too long, and the end."""

import errno
import logging
import select
import socket
import sys
import time
from collections import Counter
from ipaddress import IPv6Address
from threading import get_ident

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer

from pikaserver.web.application import Application
from pikaserver.web.boundary import REQUEST_ID_OCTETS
from pikaserver.web.channels import Channel
from pikaserver.web.forwarded import read_address
from pikaserver.web.limits import IPV6_SITE_BITS
from pikaserver.web.peers import Peer
from pikaserver.web.pools import Work, WorkerPool
from pikaserver.web.requests import overloaded
from pikaserver.web.shortcuts import IDENT
from pikaserver.web.strict import RequestRefused
from pikaserver.web.terms import Terms
from pikaserver.web.tls_channels import TlsChannel

UNIX = "unix"
"""The address of a peer on a Unix socket."""
ACCEPTS_PER_ROUND = 64
QUICK_WORKERS = 2
"""Threads for handshakes and refusals: pure computing, so more of them would gain nothing."""
SEND_OCTETS = 18_000
"""Head and body of an ordinary answer leave in one system call."""
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

logger = logging.getLogger(__name__)


class Server(BaseWSGIServer):  # type: ignore[misc]  # waitress ships no types, and is extended so
    """waitress' server for one bound socket, with a thread of its own."""

    def __init__(self, application: Application, sock: socket.socket, terms: Terms) -> None:
        self.name = terms.name
        self.limits = terms.limits
        self.rules = terms.rules
        self.draining = False
        self.traffic = terms.traffic
        self.shortcuts = terms.shortcuts
        self.map: dict[int, object] = {}
        self._contexts = terms.contexts
        self._entropy = terms.entropy
        self._is_unix = sock.family == socket.AF_UNIX
        address = sock.getsockname()
        self._address = (address, 0) if self._is_unix else (address[0], address[1])
        self._sites: Counter[str] = Counter()
        self._stop_at = float("inf")
        self._loop: int | None = None
        self._epoll = select.epoll()
        self._quick = WorkerPool(f"{self.name}-quick", QUICK_WORKERS)
        super().__init__(
            application,
            self.map,
            _sock=sock,
            dispatcher=WorkerPool(self.name, self.limits.workers),
            adj=_adjustments(),
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    def getsockname(self) -> tuple[str, int]:
        """Return host and port; a Unix socket has its path and no port."""
        return self._address

    # Coming in.

    def handle_accept(self) -> None:
        """Let in who waits at the door."""
        for _ in range(ACCEPTS_PER_ROUND):
            try:
                sock, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in NO_ROOM:
                    # The socket stays readable; the loop would spin until somebody leaves.
                    self._epoll.modify(self._fileno, 0)
                    logger.warning(
                        "no room for connections",
                        extra={"event": "accept-paused", "listener": self.name, "why": str(error)},
                    )
                return
            self._welcome(sock, UNIX if self._is_unix else address[0])

    def _welcome(self, sock: socket.socket, address: str) -> None:
        self.traffic.accepted += 1
        peer = self._peer(address)
        self.traffic.refused += peer.refuse
        if peer.refuse and self.traffic.open[True] >= self.limits.refused_connections:
            sock.close()
            return
        try:
            sock.settimeout(0)
            if not self._is_unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            sock.close()
            return
        self.traffic.open[peer.refuse] += 1
        self._sites[peer.site] += not peer.refuse
        if self._contexts is None:
            Channel(self, sock, peer, self.adj)
        else:
            TlsChannel(self, sock, peer, self.adj, self._contexts.line(sock))

    def _peer(self, address: str) -> Peer:
        is_proxy = self._is_unix or self.rules.name(address)
        site = "" if is_proxy else _site(address)
        full = self.traffic.open[False] >= self.limits.connections
        many = bool(site) and self._sites[site] >= self.limits.connections_per_address
        return Peer(address, site, is_proxy=is_proxy, refuse=full or many)

    def left(self, peer: Peer) -> None:
        """Count a connection out."""
        self.traffic.open[peer.refuse] -= 1
        if not peer.refuse:
            self._sites[peer.site] -= 1
            if not self._sites[peer.site]:
                del self._sites[peer.site]

    # Work for threads.

    def add_task(self, channel: Channel) -> None:
        """Queue a channel whose request is complete; refusals do not wait behind the others.

        What is at hand is answered at once, where that cannot overtake an earlier answer: in
        the loop, which alone reads requests and calls this while nothing else is under way.
        """
        request = channel.requests[0]
        if get_ident() == self._loop and not self.draining:
            octets = self.shortcuts.at_hand(request)
            if octets is not None:
                channel.requests.pop().close()
                channel.answer_began = time.monotonic()
                channel.write_whole(octets)
                return
        if request.error is None and self.task_dispatcher.waiting >= self.limits.waiting_requests:
            request.refuse(overloaded())
        (self.task_dispatcher if request.error is None else self._quick).add_task(channel)

    def shake_hands(self, step: Work) -> None:
        """Queue a step of a handshake."""
        self._quick.add_task(step)

    def pull_trigger(self) -> None:
        """Leave the loop alone: a worker arms its channel, and that wakes it (waitress asks)."""

    # The log.

    def next_request_id(self) -> str:
        """Return a fresh id for a request that the application never sees."""
        return self._entropy(REQUEST_ID_OCTETS).hex()

    def note_refusal(self, channel: Channel, error: RequestRefused, request_id: str) -> None:
        """Log why a request was refused."""
        logger.info(
            "request refused",
            extra={
                "event": "request-refused",
                "request_id": request_id,
                "listener": self.name,
                "client": channel.peer.address,
                "status": error.status.value,
                "why": str(error),
            },
        )

    def handshake_failed(self, channel: Channel, error: Exception) -> None:
        """Count and log it."""
        self.traffic.failed_handshakes += 1
        logger.info(
            "handshake failed",
            extra={
                "event": "handshake-failed",
                "listener": self.name,
                "client": channel.peer.address,
                "why": str(error),
            },
        )

    # The loop, in a thread of its own.

    def watch(self, fileno: int, interest: int, *, new: bool = False) -> None:
        """Wait for one event of a socket; from any thread."""
        (self._epoll.register if new else self._epoll.modify)(
            fileno, interest | select.EPOLLONESHOT
        )

    def run(self) -> None:
        """Serve until the server is stopped, then close everything."""
        self._loop = get_ident()
        self._epoll.register(self._fileno, select.EPOLLIN)
        self._epoll.register(self.trigger.socket.fileno(), select.EPOLLIN)
        next_round = 0.0
        while not self._is_done():
            try:
                self._handle(self._epoll.poll(self.limits.round_seconds))
                now = time.monotonic()
                if now >= next_round:
                    next_round = now + self.limits.round_seconds
                    self._make_round(now)
            except Exception:
                # One connection's trouble must not end the others'.
                logger.exception("the loop stumbled", extra={"listener": self.name})
        self._close_all()

    def _handle(self, events: list[tuple[int, int]]) -> None:
        ready = dict(events)
        waiting = ready.pop(self._fileno, 0)
        if ready.pop(self.trigger.socket.fileno(), 0):
            self.trigger.handle_read()
        for fileno, flags in ready.items():
            channel = self.active_channels.get(fileno)
            if channel is not None:
                wasyncore.readwrite(channel, flags)
                channel.arm()
        # Last, for a newcomer may get the number of a descriptor that was closed above.
        if waiting and self.accepting:
            self.handle_accept()

    def stop(self, drain_seconds: float) -> None:
        """Accept nothing more; let running requests end in so many seconds."""
        self._stop_at = time.monotonic() + drain_seconds
        # Told to the loop in its own thread: it cannot end, and close its trigger, before.
        self.trigger.pull_trigger(self._begin_to_drain)

    def _begin_to_drain(self) -> None:
        self.draining = True

    def _is_done(self) -> bool:
        if not self.draining:
            return False
        if self.accepting:
            self._epoll.unregister(self._fileno)
            wasyncore.dispatcher.close(self)
        for channel in list(self.active_channels.values()):
            if channel.idle:
                channel.handle_close()
        return not self.active_channels or time.monotonic() >= self._stop_at

    def _make_round(self, now: float) -> None:
        if self._contexts is not None:
            self._quick.add_task(self._contexts)
        if self.accepting:
            self._epoll.modify(self._fileno, select.EPOLLIN)
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(now):
                channel.expire()

    def _close_all(self) -> None:
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        for pool in (self.task_dispatcher, self._quick):
            pool.shutdown(timeout=1)
        self.trigger.close()
        self._epoll.close()


def _site(address: str) -> str:
    """Return what connections are counted by: an IPv4 address, an IPv6 site."""
    ip = read_address(address)
    if isinstance(ip, IPv6Address):
        return str(int(ip) >> (ip.max_prefixlen - IPV6_SITE_BITS))
    return address


def _adjustments() -> Adjustments:
    """Return waitress' own settings; those that are ours stand in `Limits`."""
    adjustments = Adjustments(
        ident=IDENT,
        log_socket_errors=False,
        clear_untrusted_proxy_headers=False,
        # No worker waits for a slow reader; what is not read yet waits on disk.
        outbuf_high_watermark=sys.maxsize,
    )
    # As an argument it draws a warning of deprecation.
    adjustments.send_bytes = SEND_OCTETS
    return adjustments
