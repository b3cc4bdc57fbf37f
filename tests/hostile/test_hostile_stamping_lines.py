"""Hostile octets at /tsa of a running server, many at once: afterwards every worker is there."""

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pikaserver.testing.servers import running_server
from pikaserver.web.limits import WORKERS
from pikaserver_tsa.resources import NOBODY
from pikaserver_tsa.verifying import read_token
from tests.hostile.bent_queries import AUTHENTICODE, BENT, BINARY, GOOD, QUERY

LINES = 24
ROUNDS = 3
LEGACY = b"MCMGCisGAQQBgjcDAgEwFQYJKoZIhvcNAQcBoAgEBnNlY3JldA=="
BODIES = [*BENT.values(), AUTHENTICODE * 1000, LEGACY[:-6], b"A" * 65_536, bytes(70_000)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("stamping")) as started:
        yield started


def post(server, body, media=QUERY, number=0):
    """Send one body; a server that reads no further may cut the line."""
    address = (f"127.0.0.{number % 40 + 2}", 0)
    line = http.client.HTTPConnection(
        "127.0.0.1", server.http_port, timeout=60, source_address=address
    )
    try:
        line.request("POST", "/tsa", body, {"Content-Type": media})
        answer = line.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    except ConnectionError:
        return 413, None, b""
    finally:
        line.close()


def threads(server):
    lines = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Threads:"))


def all_stamp(server):
    """Let as many ask at the same moment as there are workers."""
    together = threading.Barrier(WORKERS)

    def ask(number):
        together.wait()
        return post(server, GOOD, number=number)

    with ThreadPoolExecutor(WORKERS) as pool:
        return [read_token(body)[1].nonce for _, _, body in pool.map(ask, range(WORKERS))]


def test_no_worker_is_lost(server):
    """Bent bodies of both protocols on many lines, half requests among them."""
    assert [2**63] * WORKERS == all_stamp(server)
    before = threads(server)
    work = [
        (body, media, number)
        for number, (body, media) in enumerate(
            (body, media) for _ in range(ROUNDS) for body in BODIES for media in (QUERY, BINARY)
        )
    ]

    with ThreadPoolExecutor(LINES) as pool:
        answers = list(pool.map(lambda one: post(server, *one), work))
    for number in range(LINES):
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=30) as line:
            line.sendall(b"POST /tsa HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n")
            line.sendall(GOOD[:number])

    assert {200, 400, 413} == {status for status, _, _ in answers}
    assert not [body for _, _, body in answers if b"<html" in body or b"Traceback" in body]
    assert [2**63] * WORKERS == all_stamp(server)
    assert threads(server) <= before + 2
    assert "Traceback" not in server.log()


def test_the_counts_name_what_came(server):
    """Labels are of our own lists, whatever a client sends."""
    post(server, b"")
    post(server, GOOD)

    told = server.get("/metrics").decode()

    lines = [line for line in told.splitlines() if line.startswith("pikaserver_tsa_answers_total")]
    outcomes = {line.partition('outcome="')[2].partition('"')[0] for line in lines}
    assert {"granted", "bad-data-format"} <= outcomes
    authorities = {line.partition('authority="')[2].partition('"')[0] for line in lines}
    assert {"issuing", NOBODY} >= authorities
