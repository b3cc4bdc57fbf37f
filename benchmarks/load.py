"""A cheap HTTP/1.1 client: made requests go out, answers are counted and timed.

It runs in processes of its own, so that it takes CPU from the server but never its GIL.
"""

import hashlib
import multiprocessing
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

PROCESSES = 2
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: each client sends the next request when it has its answer."""

    port: int
    requests: Sequence[bytes]
    clients: int
    seconds: float
    tls: bool = True
    new_connections: bool = False


@dataclass(slots=True)
class Outcome:
    """What came back; latencies are seconds, answers are told apart by their hashes."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: set[bytes] = field(default_factory=set)
    broken: int = 0

    @property
    def answers(self) -> int:
        """How many requests were answered with 200."""
        return self.statuses[200]

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.answers / self.seconds

    def add(self, other: "Outcome") -> None:
        """Take in what another client counted."""
        self.seconds = max(self.seconds, other.seconds)
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.bodies |= other.bodies
        self.broken += other.broken


def run(load: Load) -> Outcome:
    """Send for so many seconds and return what all clients saw, latencies sorted."""
    processes = min(PROCESSES, load.clients)
    shares = [_share(load, number, processes) for number in range(processes)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        # Every process is up before the first one begins.
        pool.map(_ready, range(processes), chunksize=1)
        parts = pool.map(_send, shares, chunksize=1)
    total = Outcome()
    for part in parts:
        total.add(part)
    total.latencies.sort()
    return total


def _share(load: Load, number: int, processes: int) -> Load:
    clients = len(range(number, load.clients, processes))
    requests = load.requests[number::processes] or load.requests
    return Load(load.port, requests, clients, load.seconds, load.tls, load.new_connections)


def _ready(_number: int) -> None:
    time.sleep(0.3)


def _send(load: Load) -> Outcome:
    total, lock = Outcome(), threading.Lock()

    def client(requests: Sequence[bytes]) -> None:
        outcome = _client(load, requests)
        with lock:
            total.add(outcome)

    threads = [
        threading.Thread(target=client, args=(_some(load, number),))
        for number in range(load.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total


def _some(load: Load, number: int) -> Sequence[bytes]:
    """Give each client requests of its own, if there are enough."""
    return load.requests[number :: load.clients] or load.requests


def _client(load: Load, requests: Sequence[bytes]) -> Outcome:
    outcome, sent = Outcome(), 0
    context = _context() if load.tls else None
    line = None
    began = now = time.perf_counter()
    while now - began < load.seconds:
        try:
            line = line or _connect(load.port, context)
            status, body = _exchange(line, requests[sent % len(requests)])
        except OSError:
            outcome.broken += 1
            line = None
        else:
            outcome.statuses[status] += 1
            outcome.bodies.add(hashlib.blake2b(body, digest_size=12).digest())
            if load.new_connections:
                line.close()
                line = None
        sent += 1
        last, now = now, time.perf_counter()
        outcome.latencies.append(now - last)
    outcome.seconds = now - began
    return outcome


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Verifying would cost this client more than the server, and is not what is measured.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connect(port: int, context: ssl.SSLContext | None) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line if context is None else context.wrap_socket(line)


def _exchange(line: socket.socket, request: bytes) -> tuple[int, bytes]:
    line.sendall(request)
    answer = b""
    while (end := answer.find(_END)) < 0:
        answer += _received(line)
    head = answer[:end].lower()
    length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
    while len(answer) < end + len(_END) + length:
        answer += _received(line)
    return int(head[9:12]), answer[end + len(_END) :]


def _received(line: socket.socket) -> bytes:
    octets = line.recv(65536)
    if not octets:
        raise ConnectionResetError
    return octets
