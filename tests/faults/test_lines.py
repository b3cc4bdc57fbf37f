"""Lines that are cut, half requests and clients that vanish: nobody else notices."""

import socket
import ssl
import struct
import time
from contextlib import ExitStack, suppress

import pytest

from pikaserver.testing.servers import running_server
from tests.faults.load import PATH, Load, count, request

HALF_REQUESTS = 400
ADDRESSES = 20
PATIENCE_SECONDS = 60
GOOD_SECONDS = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("lines")) as started:
        yield started


@pytest.fixture(scope="module")
def load(server):
    return Load(server, server.code(uses=1000))


@pytest.fixture
def stored(server, load):
    """Give the number of stored certificates; afterwards the server works and complained not."""
    before = count(server.data)
    yield before
    assert 200 == load.enrol().status
    assert "Traceback" not in server.log()


def whole(load, body=None):
    """Return the octets of an enrolment."""
    body = body or request("device")
    headers = {**load.headers(), "Host": "127.0.0.1", "Content-Length": str(len(body))}
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def connect(server, number=0, *, port=None):
    address = (f"127.0.0.{number % ADDRESSES + 2}", 0)
    return socket.create_connection(
        ("127.0.0.1", port or server.https_port), timeout=30, source_address=address
    )


def tls(server, load):
    return load.trust.wrap_socket(connect(server), server_hostname="127.0.0.1")


def vanish(line):
    """End a line as a crash or a cut does: with a reset, without a word."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.99])
def test_a_client_that_vanishes_within_its_request_gets_nothing(server, load, stored, part):
    """In the head or in the body: nothing is issued, no use of the code is spent."""
    octets = whole(load)

    line = tls(server, load)
    line.sendall(octets[: int(len(octets) * part)])
    vanish(line)

    assert 200 == load.enrol().status
    assert stored + 1 == count(server.data)


def test_a_client_that_vanishes_before_its_answer_has_its_certificate_stored(server, load, stored):
    """P1: it never arrived, but it is in the database, so that it can be revoked."""
    line = tls(server, load)
    # Both requests come in one record: who answers the first one has read the second one.
    line.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + whole(load))
    answer = b""
    while not answer.endswith(b'"ok"}'):
        answer += line.recv(4096)
    vanish(line)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while count(server.data) == stored and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stored + 1 == count(server.data)


@pytest.mark.usefixtures("stored")
def test_a_client_may_close_its_half_and_read_the_answer(server):
    """An end of input behind a whole request does not take the request back."""
    with connect(server, port=server.http_port) as line:
        line.sendall(b"GET /downloads/crl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: line.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"-----END X509 CRL-----\n")


@pytest.mark.usefixtures("stored")
def test_many_half_requests_stop_nobody(server, load):
    """Slow heads, slow bodies, slow handshakes: a good client is served in time all the same."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
    hello = bytes.fromhex("1603010200010001fc0303")
    with ExitStack() as lines:
        for number in range(HALF_REQUESTS):
            port = server.http_port if number % 2 else server.https_port
            line = lines.enter_context(connect(server, number, port=port))
            line.sendall(hello if port == server.https_port else (head, body)[number // 2 % 2])

        began = time.monotonic()
        assert 200 == load.enrol(number=ADDRESSES + 1).status
        assert time.monotonic() - began < GOOD_SECONDS


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + bytes(2000),
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        bytes(range(256)) * 64,
    ],
)
def test_what_is_no_handshake_ends_the_line(server, octets):
    """Plain HTTP, broken records, SSL 2 and noise at the TLS listener."""
    with connect(server) as line:
        answer = b""
        # The server may have ended the line at any of these.
        with suppress(OSError):
            line.sendall(octets)
            line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            answer = b"".join(iter(lambda: line.recv(65536), b""))

    assert b"HTTP/1.1 200" not in answer


@pytest.mark.usefixtures("stored")
def test_old_tls_is_refused(server):
    """RFC 9325 section 3.1.1: TLS 1.2 and 1.3 only."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with connect(server) as line, pytest.raises(ssl.SSLError):
        old.wrap_socket(line)
