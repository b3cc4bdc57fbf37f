"""One GET over a line that is open already: every wait has an end, and so has the answer."""

import http.client
import io
import socket
import ssl
from dataclasses import dataclass

from pikaserver_acme.validation.attempt import Attempt, Failed

ANSWER_LIMIT_OCTETS = 32 * 1024
"""What an answer may have in all, its head and everything before it included."""
BODY_LIMIT_OCTETS = 512
"""A key authorization has less than 100."""
USER_AGENT = "pikaserver (ACME validation)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``body`` is cut off one octet behind the limit."""

    status: int
    location: str | None
    body: bytes


def tls_line(line: socket.socket, host: str, attempt: Attempt) -> ssl.SSLSocket:
    """Return the line within TLS; who is there is not the question (RFC 8555 section 8.3).

    Raises:
        Failed: the handshake did not succeed.
    """
    context = unverified()
    line.settimeout(attempt.remaining())
    try:
        secured = context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)
        secured.do_handshake()
    except OSError as error:  # ssl.SSLError is one
        raise Failed("tls", f"no TLS with {host}: {error}", again=True) from error
    return secured


def unverified() -> ssl.SSLContext:
    """Return settings for lines on which no certificate is believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def get(line: socket.socket, authority: str, target: str, attempt: Attempt) -> Answer:
    """Ask for a target and return the answer, whatever its status.

    Raises:
        Failed: what comes is no HTTP, too much, or too slow.
    """
    head = (
        f"GET {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    try:
        line.settimeout(attempt.remaining())
        line.sendall(head.encode("ascii"))
        return _answer(_Line(line, attempt))
    except TimeoutError as error:
        raise Failed("connection", f"{authority} was too slow", again=True) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = f"{authority} sent no whole HTTP answer: {str(error) or type(error).__name__}"
        raise Failed("connection", why, again=True) from error


def _answer(line: "_Line") -> Answer:
    # It asks its socket for nothing but a file to read from.
    response = http.client.HTTPResponse(line, method="GET")  # type: ignore[arg-type]  # see above
    with response:
        response.begin()
        body = response.read(BODY_LIMIT_OCTETS + 1)
        return Answer(response.status, response.getheader("Location"), body)


class _Line:
    def __init__(self, line: socket.socket, attempt: Attempt) -> None:
        self._stream = _BoundedStream(line, attempt)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._stream)


class _BoundedStream(io.RawIOBase):
    """Reads until the attempt's time is over or the answer has grown too large."""

    def __init__(self, line: socket.socket, attempt: Attempt) -> None:
        self._line = line
        self._attempt = attempt
        self._left = ANSWER_LIMIT_OCTETS

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a buffer, in 3.12's words
        """Read as much as there is.

        Raises:
            Failed: time or size is used up.
        """
        if not self._left:
            raise Failed("connection", f"an answer of more than {ANSWER_LIMIT_OCTETS} octets")
        self._line.settimeout(self._attempt.remaining())
        space = memoryview(buffer)[: self._left]
        read = self._line.recv_into(space)
        self._left -= read
        return read
