"""Slow, silent, greedy and broken clients: none of them stops the others."""

import contextlib
import random
import socket
import ssl
import threading
import time

import pytest

from pikaserver.web.limits import Limits

GET = b"GET /door HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /door HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
PATIENCE = 60
SLOW = 300
PATIENT = Limits(workers=2, handshake_seconds=600, head_seconds=600, request_seconds=600)
"""Nobody is sent away: who waited for a slow client would wait for longer than any test."""
SOURCES = 10
"""The slow ones come from several addresses, for one address may not have so many."""


def client_hello():
    """Return the first octets of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = client_hello()
PLAIN_BEGINNINGS = [b"", b"G", GET[:-2], POST, POST + b"abc"]
TLS_BEGINNINGS = [b"", HELLO[:3], HELLO[:100], HELLO]


def crowd(stack, running, beginnings, count=SLOW):
    """Open connections that send a beginning and then nothing."""
    for number in range(count):
        connection = running.connect(f"127.0.1.{number % SOURCES + 1}")
        stack.enter_context(connection)
        connection.sendall(beginnings[number % len(beginnings)])


def open_connections(running):
    """Return how many connections the listener has."""
    return running.listener.traffic.open.total()


def slowest(count, ask):
    """Return the seconds that the slowest of so many requests took."""
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        ask()
        seconds.append(time.monotonic() - began)
    return max(seconds)


def test_300_slow_plain_clients_do_not_slow_a_good_one(house, until):
    """Silent, in the middle of a head, in the middle of a body."""
    running = house.start(PATIENT)

    def ask():
        assert running.send(LAST).endswith(b"hello")

    with contextlib.ExitStack() as stack:
        crowd(stack, running, PLAIN_BEGINNINGS)
        until(lambda: open_connections(running) == SLOW)
        # Other programs may slow it for a while; the slow clients are there all the time.
        until(lambda: slowest(50, ask) < 2)


def test_300_slow_tls_clients_do_not_slow_a_good_one(house, tls, shake, until):
    """Silent, in the middle of a ClientHello, after it, and after the handshake."""
    running = house.start(PATIENT, tls=tls)

    def ask():
        connection = shake(running)
        connection.sendall(LAST)
        assert running.read_all(connection).endswith(b"hello")

    with contextlib.ExitStack() as stack:
        crowd(stack, running, TLS_BEGINNINGS, SLOW - 40)
        for number in range(40):
            connection = shake(running, source=f"127.0.1.{number % SOURCES + 20}")
            connection.sendall(PLAIN_BEGINNINGS[number % len(PLAIN_BEGINNINGS)])
        until(lambda: open_connections(running) == SLOW)
        until(lambda: slowest(20, ask) < 2)


@pytest.mark.parametrize("beginning", PLAIN_BEGINNINGS[1:], ids=len)
def test_a_request_that_does_not_come_on_is_ended(house, quick, beginning, until):
    """408, then the end."""
    running = house.start(quick(head_seconds=1, request_seconds=1))

    answer = running.send(beginning)

    assert b" 408 Request Timeout" in answer.splitlines()[0]
    assert [] == running.door.requests
    until(lambda: open_connections(running) == 0)


def test_a_request_that_trickles_is_ended_all_the_same(house, quick):
    """Each octet is in time, the whole is not."""
    running = house.start(quick(head_seconds=1))
    with running.connect() as connection:
        connection.settimeout(0.05)
        answer = b""
        began = time.monotonic()
        while not answer and time.monotonic() - began < PATIENCE:
            connection.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(1000)

    assert b" 408 " in answer


def test_a_silent_connection_is_closed(house, quick):
    """Without a word: there was no request."""
    running = house.start(quick(head_seconds=0.2))

    assert b"" == running.send(b"")


def test_an_idle_connection_is_closed_later(house, quick):
    """It is kept for the next request, but not for ever."""
    running = house.start(quick(head_seconds=0.5, idle_seconds=1.5))
    began = time.monotonic()

    assert running.send(GET).endswith(b"hello")

    assert time.monotonic() - began >= 1.4


@pytest.mark.parametrize("beginning", TLS_BEGINNINGS, ids=["none", "3", "100", "all"])
def test_a_handshake_that_does_not_come_on_is_ended(house, quick, tls, beginning, until):
    """With a deadline of its own."""
    running = house.start(quick(handshake_seconds=0.2), tls=tls)

    running.send(beginning)

    until(lambda: open_connections(running) == 0)


def test_a_client_that_does_not_read_its_answer_is_closed(house, quick, until):
    """Its answer waits on our side; a worker does not."""
    running = house.start(quick(stalled_answer_seconds=0.2, workers=1))
    running.door.answer = bytes(30_000_000)
    with running.connect() as connection:
        connection.sendall(LAST)
        assert running.door.entered.wait(PATIENCE)
        running.door.answer = b"quick"
        assert running.send(LAST).endswith(b"quick")

        until(lambda: open_connections(running) == 0)


def test_one_address_gets_no_more_than_its_share(house, quick, until):
    """503 with Retry-After; another address is served."""
    running = house.start(quick(connections_per_address=5))
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(running.connect("127.0.1.1"))
        until(lambda: open_connections(running) == 5)

        refused = running.send(GET, "127.0.1.1")
        served = running.send(LAST, "127.0.1.2")

    assert b" 503 Service Unavailable" in refused.splitlines()[0]
    assert b"Retry-After: " in refused
    assert served.endswith(b"hello")
    until(lambda: open_connections(running) == 0)
    assert running.send(LAST, "127.0.1.1").endswith(b"hello")


def test_too_many_connections_are_told_so(house, quick, tls, shake, until):
    """503 rather than silence, over TLS too; beyond a reserve they are closed at once."""
    running = house.start(quick(connections=5, refused_connections=2, linger_seconds=0.1), tls=tls)
    with contextlib.ExitStack() as stack:
        crowd(stack, running, [b""], 5)
        until(lambda: open_connections(running) == 5)

        connection = shake(running)
        connection.sendall(GET)
        answer = running.read_all(connection)
        crowd(stack, running, [b""], 2)
        until(lambda: open_connections(running) == 7)
        with running.connect() as beyond:
            nothing = running.read_all(beyond)

    assert b" 503 Service Unavailable" in answer.splitlines()[0]
    assert b"" == nothing
    assert 4 == running.listener.traffic.refused
    until(lambda: open_connections(running) == 0)


def test_more_requests_than_may_wait_are_told_so(house, quick):
    """While the workers are busy, a queue of reasonable length, then 503."""
    running = house.start(quick(workers=1, waiting_requests=2))
    running.door.gate.clear()
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(running.connect()) for _ in range(3)]
        waiting[0].sendall(LAST)
        assert running.door.entered.wait(PATIENCE)
        for connection in waiting[1:]:
            connection.sendall(LAST)
        answer = b""
        while b" 503 " not in answer:
            # The two above may not have been read yet.
            with running.connect() as further:
                further.sendall(LAST)
                further.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    answer = further.recv(10_000)

        running.door.gate.set()
        answers = [running.read_all(connection) for connection in waiting]

    assert b"Retry-After: " in answer
    assert all(text.endswith(b"hello") for text in answers)


class Rascal:
    """A client that breaks off wherever chance wills."""

    def __init__(self, running, seed):
        self.running = running
        self.chances = random.Random(seed)  # noqa: S311  # chance, not secrecy
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def beginning_of(self, *choices):
        """Return a part of one of these."""
        octets = self.chances.choice(choices)
        return octets[: self.chances.randrange(len(octets) + 1)]

    def misbehave(self):
        """Open many connections and finish none properly."""
        for _ in range(25):
            with contextlib.suppress(OSError), self.running.connect() as raw:
                raw.settimeout(0.5)
                if self.chances.random() < 0.5:
                    # Closing then sends a reset.
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                if self.chances.random() < 0.4:
                    raw.sendall(self.beginning_of(HELLO, GET, self.chances.randbytes(200)))
                else:
                    with self.context.wrap_socket(raw) as connection:
                        self.talk(connection)

    def talk(self, connection):
        """Say something over TLS, and perhaps read a little."""
        noise = self.chances.randbytes(300)
        connection.sendall(self.beginning_of(GET * 3, POST, POST * 2, noise))
        if self.chances.random() < 0.3:
            connection.recv(10)


def test_clients_that_break_off_do_no_harm(house, tls, quick, caplog, until):
    """At any point of a handshake or request: no thread dies, nothing is left open."""
    limits = quick(handshake_seconds=1, head_seconds=1, linger_seconds=0.1)
    running = house.start(limits, tls=tls)
    rascals = [Rascal(running, seed) for seed in range(8)]
    threads = [threading.Thread(target=rascal.misbehave) for rascal in rascals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    until(lambda: open_connections(running) == 0)
    context = rascals[0].context
    with running.connect() as raw, context.wrap_socket(raw) as connection:
        connection.sendall(LAST)
        assert running.read_all(connection).endswith(b"hello")
    assert [] == [r for r in caplog.records if r.levelname in {"ERROR", "CRITICAL"}]


def test_urgent_data_does_not_spin_the_loop(house):
    """HTTP knows none; the connection goes on as if there were none."""
    running = house.start()
    with running.connect() as connection:
        connection.send(b"!", socket.MSG_OOB)
        connection.sendall(LAST)

        assert running.read_all(connection).endswith(b"hello")
