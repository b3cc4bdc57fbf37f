"""One request as it arrives: waitress' parser by another hand, strict and bounded.

It has the attributes by which waitress' channels and tasks know their parser.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO

from pikaserver.web.forwarded import Caller
from pikaserver.web.limits import RETRY_AFTER_SECONDS, Limits
from pikaserver.web.strict import ChunkedBody, Head, RequestRefused, read_head

Identify = Callable[[dict[str, str]], Caller]
"""Tells who sent a request, and takes the headers of proxies out of it."""

END = b"\r\n\r\n"
FIRST_OCTETS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def overloaded() -> RequestRefused:
    """Return what is answered when there is no room."""
    return RequestRefused(
        HTTPStatus.SERVICE_UNAVAILABLE, "too many connections or requests", RETRY_AFTER_SECONDS
    )


class Request:
    """Collects one request; ``completed`` with ``error`` set when it is refused."""

    empty = False

    def __init__(self, limits: Limits, identify: Identify, *, refuse: bool) -> None:
        self.started = time.monotonic()
        self.completed = False
        self.error: Exception | None = None
        self.expect_continue = False
        self.headers_finished = False
        self.unread = False
        """The sender may still be writing a body that nobody reads."""
        self.caller: Caller | None = None
        self.version = "1.0"
        self.headers: dict[str, str] = {}
        self.command = self.request_uri = self.path = self.query = ""
        self.url_scheme = "http"
        self._limits = limits
        self._identify = identify
        self._refuse = refuse
        self._head = b""
        self._skipped = False
        self._body = BytesIO()
        self._left = 0
        self._chunks: ChunkedBody | None = None

    def received(self, octets: bytes) -> int:
        """Take octets; return how many belong to this request."""
        try:
            if not self.headers_finished:
                return self._receive_head(octets)
            if self._chunks is not None:
                return self._receive_chunks(self._chunks, octets)
            return self._receive_body(octets)
        except RequestRefused as refusal:
            self.refuse(refusal)
            # Whatever follows a request that we cannot read is not a request.
            return len(octets)

    def refuse(self, refusal: RequestRefused) -> None:
        """End the request with an error instead of the application's answer."""
        self.error = refusal
        self.completed = self.unread = True
        self.expect_continue = False

    def get_body_stream(self) -> BytesIO:
        """Return the body, from its beginning."""
        self._body.seek(0)
        return self._body

    def close(self) -> None:
        """Forget the body."""
        self._body.close()

    def _receive_head(self, octets: bytes) -> int:
        head = self._head + octets
        if not self._skipped and head.startswith(b"\r\n"):
            # RFC 9112 section 2.2: an empty line before a request is ignored; we ignore one.
            self._skipped = True
            head = head[2:]
        end = head.find(END)
        self._check_size(head, end)
        if end < 0:
            self._head = head
            return len(octets)
        # Known before all else, for even a refusal of HEAD has no body.
        self.command = "HEAD" if head.startswith(b"HEAD ") else ""
        self._begin(read_head(head[:end]))
        if self.unread:
            return len(octets)
        return len(octets) - (len(head) - end - len(END))

    def _check_size(self, head: bytes, end: int) -> None:
        """Refuse early what grows without end or can never become a request."""
        if head and head[0] not in FIRST_OCTETS and head != b"\r":
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "this is no HTTP request")
        line = head.find(b"\r\n")
        if (line if line >= 0 else len(head)) > self._limits.target_octets:
            raise RequestRefused(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"the request line has more than {self._limits.target_octets} octets",
            )
        if (end if end >= 0 else len(head)) > self._limits.header_octets:
            raise RequestRefused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the head has more than {self._limits.header_octets} octets",
            )
        if end < 0 and head.count(b"\n") != head.count(b"\r\n"):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "a line that does not end with CR LF")

    def _begin(self, head: Head) -> None:
        self.headers_finished = True
        self.version, self.headers = head.version, head.headers
        self.command, self.request_uri = head.method, head.target
        self.path, self.query = head.path, head.query
        if self._refuse:
            raise overloaded()
        self.caller = self._identify(head.headers)
        self.url_scheme = self.caller.scheme
        if head.chunked:
            self._chunks = ChunkedBody(self._keep)
        elif head.content_length > self._limits.body_octets:
            # The application says it in the service's words; nobody reads the body.
            self.completed = self.unread = True
        else:
            self._left = head.content_length
            self.completed = not self._left
        self.expect_continue = head.expects_continue and not self.completed

    def _receive_body(self, octets: bytes) -> int:
        piece = octets[: self._left]
        self._body.write(piece)
        self._left -= len(piece)
        self.completed = not self._left
        return len(piece)

    def _receive_chunks(self, chunks: ChunkedBody, octets: bytes) -> int:
        used = chunks.received(octets)
        announced = self._body.tell() + chunks.left
        if announced > self._limits.body_octets:
            self.completed = self.unread = True
            used = len(octets)
        elif chunks.complete:
            self.completed = True
        if self.completed:
            # The application sees an ordinary body with its length.
            self.headers["CONTENT_LENGTH"] = str(announced)
        return used

    def _keep(self, piece: bytes) -> None:
        self._body.write(piece)
