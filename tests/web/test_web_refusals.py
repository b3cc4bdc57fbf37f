"""Hostile octets on a real socket: one answer, then the end, and nothing reaches the door."""

import json
import re

import pytest

HOST = b"Host: a.example\r\n"
SECOND = b"GET /door HTTP/1.1\r\nHost: a.example\r\n\r\n"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")

ATTACKS = {
    "length beside chunked": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SECOND,
    "chunked twice": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SECOND,
    "chunked and something": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
    + SECOND,
    "chunked in 1.0": b"POST /door HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SECOND,
    "two lengths": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n"
    + SECOND,
    "a list of lengths": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 0, 0\r\n\r\n"
    + SECOND,
    "an absurd length": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 99999999999999999999\r\n\r\n"
    + SECOND,
    "no host": b"GET /door HTTP/1.1\r\n\r\n" + SECOND,
    "two hosts": b"GET /door HTTP/1.1\r\n" + HOST + HOST + b"\r\n" + SECOND,
    "a list of hosts": b"GET /door HTTP/1.1\r\nHost: a, b\r\n\r\n" + SECOND,
    "a folded header": b"GET /door HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n" + SECOND,
    "a folded first header": b"GET /door HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n" + SECOND,
    "a bare line feed": b"GET /door HTTP/1.1\r\n"
    + HOST
    + b"X: a\nContent-Length: 5\r\n\r\n"
    + SECOND,
    "bare line feeds only": b"GET /door HTTP/1.1\nHost: a\n\n" + SECOND,
    "a line feed before": b"\nGET /door HTTP/1.1\r\n" + HOST + b"\r\n" + SECOND,
    "many empty lines before": b"\r\n\r\n\r\nGET /door HTTP/1.1\r\n" + HOST + b"\r\n" + SECOND,
    "a bare carriage return": b"GET /door HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n" + SECOND,
    "a NUL in a header": b"GET /door HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n" + SECOND,
    "a NUL in the target": b"GET /door\0 HTTP/1.1\r\n" + HOST + b"\r\n" + SECOND,
    "an escaped NUL": b"GET /door%00 HTTP/1.1\r\n" + HOST + b"\r\n" + SECOND,
    "space before the colon": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Content-Length : 5\r\n\r\nhello"
    + SECOND,
    "a chunk extension": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n"
    + SECOND,
    "a long chunk": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n"
    + SECOND,
    "a trailer": b"POST /door HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n"
    + SECOND,
    "HTTP/0.9": b"GET /door\r\n\r\n" + SECOND,
    "another host in the target": b"GET http://b.example/door HTTP/1.1\r\n"
    + HOST
    + b"\r\n"
    + SECOND,
    "a ClientHello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "two authorizations": b"GET /door HTTP/1.1\r\n"
    + HOST
    + b"Authorization: a\r\nAuthorization: b\r\n\r\n"
    + SECOND,
}


@pytest.fixture(params=["at once", "octet by octet"])
def deliver(request):
    """Two ways to send: TCP may cut anywhere."""

    def send(running, octets):
        if request.param == "at once":
            return running.send(octets)
        with running.connect() as connection:
            try:
                for octet in octets:
                    connection.send(bytes([octet]))
            except OSError:
                pass  # refused before the end: that is what we ask for
            return running.read_all(connection)

    return send


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_head_gets_one_refusal_and_the_end(house, deliver, attack):
    """400, problem+json, closed; neither it nor what follows reaches the application."""
    running = house.start()

    answer = deliver(running, ATTACKS[attack])

    assert [b"400"] == STATUS_LINE.findall(answer)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert b"Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert 400 == problem["status"]
    assert f"X-Request-Id: {problem['request_id']}".encode() in head
    assert b"Traceback" not in answer
    assert [] == running.door.requests


def test_a_good_request_before_a_bad_one_is_answered(house):
    """The refusal ends the connection, not the past."""
    running = house.start()

    answer = running.send(SECOND + ATTACKS["two hosts"])

    assert [b"200", b"400"] == STATUS_LINE.findall(answer)
    assert [("GET", "/door")] == running.door.requests


def test_pipelined_requests_are_answered_in_order(house):
    """RFC 9112 section 9.3.2."""
    running = house.start()
    three = b"".join(
        b"GET /door/%d HTTP/1.1\r\nHost: a\r\n%s\r\n" % (n, b"Connection: close\r\n" * (n == 2))
        for n in range(3)
    )

    answer = running.send(three)

    assert [b"200"] * 3 == STATUS_LINE.findall(answer)
    assert ["/door/0", "/door/1", "/door/2"] == [uri for _, uri in running.door.requests]


def test_a_refused_head_request_has_no_body(house):
    """RFC 9110 section 9.3.2."""
    answer = house.start().send(b"HEAD /door HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n")

    assert [b"417"] == STATUS_LINE.findall(answer)
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "status"), [(b"/" + b"x" * 900, b"404"), (b"/" + b"x" * 1100, b"414")]
)
def test_a_long_target_is_refused(house, quick, target, status):
    """414 instead of a guess, at the limit and beyond."""
    running = house.start(quick(target_octets=1000))

    answer = running.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert [status] == STATUS_LINE.findall(answer)


@pytest.mark.parametrize(("octets", "status"), [(800, b"200"), (1100, b"431")])
def test_a_long_head_is_refused(house, quick, octets, status):
    """431, whether the head ends or not."""
    running = house.start(quick(header_octets=1000))
    head = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"x" * octets

    assert [status] == STATUS_LINE.findall(running.send(head + b"\r\n\r\n"))
    if status == b"431":
        assert [status] == STATUS_LINE.findall(running.send(head))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_refused_and_its_sender_reads_the_answer(house, quick, chunked):
    """413 in the service's words; the rest is thrown away, so that no reset eats the answer."""
    running = house.start(quick(body_octets=70_000))
    size = 3_000_000
    head = b"POST /door HTTP/1.1\r\nHost: a\r\n"
    if chunked:
        octets = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + bytes(size)
    else:
        octets = head + b"Content-Length: %d\r\n\r\n" % size + bytes(size)

    answer = running.send(octets)

    assert [b"413"] == STATUS_LINE.findall(answer)
    assert b"urn:pikaserver:problem:too-large" in answer
    assert b"Connection: close" in answer
    assert [] == running.door.requests


@pytest.mark.parametrize("size", [0, 1, 65_536])
def test_bodies_up_to_the_limit_are_taken(house, size):
    """With a length and in chunks; the application sees no difference."""
    running = house.start()
    body = bytes(size)
    head = b"POST /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    chunk = b"%x\r\n" % size + body + b"\r\n" if size else b""

    plain = running.send(head + b"Content-Length: %d\r\n\r\n" % size + body)
    chunked = running.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")

    for answer in (plain, chunked):
        assert [b"200"] == STATUS_LINE.findall(answer)
        assert answer.endswith(b"\r\n\r\n" + body)


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(house):
    """RFC 9110 section 10.1.1; without a body there is nothing to go on with."""
    running = house.start()
    head = b"POST /door HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n"

    with running.connect() as connection:
        connection.sendall(head + b"Content-Length: 3\r\n\r\n")
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == connection.recv(1000)
        connection.sendall(b"abc")
        assert running.read_all(connection).endswith(b"\r\n\r\nabc")
    empty = running.send(head + b"Content-Length: 0\r\n\r\n")

    assert [b"200"] == STATUS_LINE.findall(empty)


def test_a_body_that_is_too_long_is_not_asked_for(house):
    """The refusal comes instead of 100."""
    answer = house.start().send(
        b"POST /door HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 999999\r\n\r\n"
    )

    assert [b"413"] == STATUS_LINE.findall(answer)


def test_a_refusal_comes_at_once(house, quick):
    """Nobody waits for a time-out to learn that he speaks no HTTP."""
    running = house.start(quick(head_seconds=600, request_seconds=600))

    # It ends long before that, or raises.
    answer = running.send(b"GET /door HTTP/1.1\nHost: a\n\n")

    assert [b"400"] == STATUS_LINE.findall(answer)
