"""Hostile octets on the real server's sockets, with credentials that would be good enough."""

import base64
import re
import socket
import ssl

import pytest

from pikaserver.testing.servers import running_server
from tests.faults.load import PATH, Load, count, request

STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
END = b"\r\n\r\n"
HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("hostile")) as started:
        yield started


@pytest.fixture(scope="module")
def load(server):
    return Load(server, server.code(uses=1000))


@pytest.fixture
def exchange(server, load):
    """Send octets over TLS and return the answer; nothing was issued, and no traceback is told."""
    before = count(server.data)

    def send(octets):
        raw = socket.create_connection(("127.0.0.1", server.https_port), timeout=30)
        with load.trust.wrap_socket(raw, server_hostname="127.0.0.1") as line:
            try:
                line.sendall(octets)
                return b"".join(iter(lambda: line.recv(65536), b""))
            except (ConnectionError, ssl.SSLError):
                return b""

    yield send
    assert before == count(server.data)
    assert "Traceback" not in server.log()
    assert 200 == load.enrol().status


def status_of(answer):
    found = STATUS_LINE.match(answer)
    return int(found[1]) if found else None


def enrolment(load, *, line=b"", headers=b"", body=None, host=HOST, length=True):
    """Return a request that would be granted, but for what is changed in it."""
    body = request("device") if body is None else body
    own = b"".join(f"{name}: {value}\r\n".encode() for name, value in load.headers().items())
    if length:
        own += b"Content-Length: %d\r\n" % len(body)
    start = line or f"POST {PATH} HTTP/1.1".encode()
    return start + b"\r\n" + host + headers + own + b"Connection: close" + END + body


def chunked(body, end=b"0\r\n\r\n"):
    return b"%x\r\n" % len(body) + body + b"\r\n" + end


POST = f"POST {PATH}".encode()
LINES = {
    "HTTP/0.9": (POST, 400),
    "HTTP/2": (POST + b" HTTP/2.0", 505),
    "a method in small letters": (b"post " + PATH.encode() + b" HTTP/1.1", 400),
    "a method of nothing": (b" " + PATH.encode() + b" HTTP/1.1", 400),
    "an unknown method": (b"BREW " + PATH.encode() + b" HTTP/1.1", 400),
    "a tab between": (POST.replace(b" ", b"\t") + b" HTTP/1.1", 400),
    "a NUL": (POST + b"%00 HTTP/1.1", 400),
    "a raw NUL": (POST + b"\0 HTTP/1.1", 400),
    "a long path": (POST + b"/" * 9000 + b" HTTP/1.1", 414),
    "dots": (b"POST /a/../.well-known/est/simpleenroll HTTP/1.1", 404),
    "two slashes": (b"POST //.well-known//est/simpleenroll HTTP/1.1", 404),
    "a backslash": (b"POST \\.well-known\\est\\simpleenroll HTTP/1.1", 400),
    "another host": (b"POST http://evil.example" + PATH.encode() + b" HTTP/1.1", 400),
    "an escaped label": (b"POST /.well-known/est/%2e%2e/simpleenroll HTTP/1.1", 404),
    "another label": (b"POST /.well-known/est/subca/simpleenroll HTTP/1.1", 400),
    "a tunnel": (b"CONNECT 127.0.0.1:443 HTTP/1.1", 400),
}


@pytest.mark.parametrize("what", LINES)
def test_a_bent_request_line_is_refused(load, exchange, what):
    """With the number that HTTP has for it."""
    line, status = LINES[what]

    answer = exchange(enrolment(load, line=line))

    assert status == status_of(answer), answer


HEADERS = {
    "two lengths": (b"Content-Length: 5\r\n", 400),
    "chunked beside a length": (b"Transfer-Encoding: chunked\r\n", 400),
    "a second host": (HOST, 400),
    "a folded header": (b"X: a\r\n b\r\n", 400),
    "a NUL": (b"X: a\0b\r\n", 400),
    "a bare line feed": (b"X: a\nY: b\r\n", 400),
    "a header without a name": (b": x\r\n", 400),
    "a blank before the colon": (b"X : x\r\n", 400),
    "a second credential": (b"Authorization: Basic QTpC\r\n", 400),
    "a second content type": (b"Content-Type: text/plain\r\n", 400),
    "a header of 20 KB": (b"X: " + b"x" * 20_000 + b"\r\n", 431),
    "200 headers": (b"X: x\r\n" * 200, 431),
    "an expectation of wonders": (b"Expect: wonders\r\n", 417),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_bent_header_is_refused(load, exchange, what):
    """Two servers in a row could read it differently."""
    header, status = HEADERS[what]

    answer = exchange(enrolment(load, headers=header))

    assert status == status_of(answer), answer


BODIES = {
    "too large": (b"A" * 70_000, True, b"", 413),
    "too large in chunks": (chunked(b"A" * 70_000), False, b"chunked", 413),
    "a broken chunk": (b"zz\r\nAAAA\r\n0\r\n\r\n", False, b"chunked", 400),
    "a chunk of 4 GiB": (b"ffffffff\r\n" + b"A" * 300_000, False, b"chunked", 413),
    "a chunk with an extension": (b"4;a=b\r\nAAAA\r\n0\r\n\r\n", False, b"chunked", 400),
    "a trailer": (chunked(b"AAAA", b"0\r\nX: y\r\n\r\n"), False, b"chunked", 400),
    "another coding": (b"AAAA", False, b"gzip, chunked", 400),
    "empty": (b"", True, b"", 400),
    "base64 of nothing": (b"AAAA", True, b"", 400),
    "not base64": (b"\xff" * 1000, True, b"", 400),
    "a bomb of BER": (base64.b64encode(b"\x30\x80" * 10_000), True, b"", 400),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_bent_body_is_refused(load, exchange, what):
    """Before or after the code was read."""
    body, length, coding, status = BODIES[what]
    headers = b"Transfer-Encoding: %s\r\n" % coding if coding else b""

    answer = exchange(enrolment(load, headers=headers, body=body, length=length))

    assert status == status_of(answer), answer


@pytest.mark.parametrize(
    "header",
    [
        b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n",
        b"Client-Cert: :AAAA:\r\n",
        b"X_SSL_Client_Cert: x\r\n",
        b"SSL_CLIENT_VERIFY: SUCCESS\r\n",
    ],
)
def test_what_only_a_proxy_may_say_is_not_heard(load, exchange, header):
    """P6: without the code these headers open nothing."""
    asked = enrolment(load, headers=header)
    credential = load.headers()["Authorization"].encode()

    answer = exchange(asked.replace(b"Authorization: " + credential + b"\r\n", b""))

    assert 401 == status_of(answer), answer


def test_two_requests_in_one_do_not_become_one(load, exchange):
    """What follows a refused request on the same line is never read."""
    smuggled = enrolment(load)
    first = enrolment(load, headers=b"Transfer-Encoding: chunked\r\n", body=chunked(b"AAAA"))

    answer = exchange(first + smuggled)

    assert 1 == len(STATUS_LINE.findall(answer)), answer
