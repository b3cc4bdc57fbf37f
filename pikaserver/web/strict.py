"""The head of an HTTP/1.1 request and chunked bodies, read so that they mean one thing only.

Whatever two servers in a row could understand differently is refused, never mended: that is
how one request is smuggled inside another (RFC 9112 sections 11.1 and 11.2).  Pure: octets in,
values out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from pikaserver.web.limits import HEADER_LIMIT_LINES

REQUEST_LINE = re.compile(rb"([A-Z][A-Z-]{0,31}) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
NOT_TEXT = re.compile(rb"[^\t\r\n\x20-\x7e\x80-\xff]")
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
LENGTH = re.compile(rb"[0-9]{1,15}")
HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
ABSOLUTE = re.compile(rb"https?://([^/?]+)(.*)", re.IGNORECASE)
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
CHUNK_LINE_OCTETS = 10

SINGLE = frozenset(
    {
        "AUTHORIZATION",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "COOKIE",
        "EXPECT",
        "HOST",
        "ORIGIN",
        "TRANSFER_ENCODING",
    }
)
"""Headers of one value each (RFC 9110 section 5.3): two of them are an attack or a mistake."""


class RequestRefused(Exception):
    """The octets are no request that we take; the connection ends after the answer."""

    def __init__(self, status: HTTPStatus, why: str, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body.

    ``target`` is the path and query as they came, ``path`` is decoded as WSGI has it (octets
    as Latin-1).  ``headers`` are named as in a WSGI environ, without ``HTTP_``.
    """

    method: str
    target: str
    path: str
    query: str
    version: str
    headers: dict[str, str]
    content_length: int
    chunked: bool
    expects_continue: bool


def read_head(octets: bytes) -> Head:
    """Read the octets before the empty line, without the line end of the last header.

    Raises:
        RequestRefused: 400, or what HTTP has for it (417, 431, 505).
    """
    if NOT_TEXT.search(octets):
        raise _bad("a control character in the head")
    if not octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n"):
        raise _bad("a line that does not end with CR LF")
    first, *lines = octets.split(b"\r\n")
    match = REQUEST_LINE.fullmatch(first)
    if match is None:
        raise _bad("the request line is not 'METHOD target HTTP/1.1'")
    method, target, version = match.groups()
    if version not in {b"1.0", b"1.1"}:
        raise RequestRefused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.0 or HTTP/1.1 only")
    headers = _headers(lines)
    _check_host(headers, version)
    target = _origin(target, method, headers)
    path, _, query = target.partition(b"?")
    length, chunked = _framing(headers, version)
    expects = _expects_continue(headers) and version == b"1.1"
    _normalise_connection(headers)
    return Head(
        method.decode(),
        target.decode(),
        _decoded(path),
        query.decode(),
        version.decode(),
        headers,
        length,
        chunked,
        expects,
    )


def _bad(why: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, why)


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > HEADER_LIMIT_LINES:
        raise RequestRefused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {HEADER_LIMIT_LINES} headers"
        )
    headers: dict[str, str] = {}
    for line in lines:
        raw, colon, value = line.partition(b":")
        # A folded line begins with white space and so has no name (RFC 9112 section 5.2).
        if not colon or not NAME.fullmatch(raw):
            raise _bad("a header that is not 'Name: value'")
        if b"_" in raw:
            # WSGI cannot tell X_Name from X-Name, so a client could write the proxy's header.
            continue
        name = raw.decode().upper().replace("-", "_")
        text = value.strip(b" \t").decode("latin-1")
        if name not in headers:
            headers[name] = text
        elif name in SINGLE:
            raise _bad(f"the header {raw.decode()} twice")
        else:
            headers[name] += f", {text}"
    return headers


def _check_host(headers: dict[str, str], version: bytes) -> None:
    """One host, and with HTTP/1.1 always (RFC 9112 section 3.2)."""
    host = headers.get("HOST")
    if host is None and version == b"1.0":
        return
    if host is None or not HOST.fullmatch(host.encode("latin-1")):
        raise _bad("no Host, or not one host with or without a port")


def _origin(target: bytes, method: bytes, headers: dict[str, str]) -> bytes:
    """Return the target in origin form (RFC 9112 section 3.2)."""
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is not None:
        authority, target = absolute.groups()
        if authority.decode().lower() != headers.get("HOST", "").lower():
            raise _bad("the target's host is not the Host header's")
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target or BROKEN_ESCAPE.search(target):
        raise _bad("a target with a fragment or a broken percent-escape")
    if not target.startswith(b"/") and (method, target) != (b"OPTIONS", b"*"):
        raise _bad("the target is not a path")
    return target


def _decoded(path: bytes) -> str:
    octets = unquote_to_bytes(path)
    if CONTROL.search(octets):
        raise _bad("a control character in the path")
    return octets.decode("latin-1")


def _framing(headers: dict[str, str], version: bytes) -> tuple[int, bool]:
    """Return the body's length and whether it is chunked instead (RFC 9112 section 6)."""
    length = headers.get("CONTENT_LENGTH")
    coding = headers.pop("TRANSFER_ENCODING", None)
    if coding is not None:
        if length is not None:
            raise _bad("Content-Length beside Transfer-Encoding")
        if version == b"1.0":
            raise _bad("Transfer-Encoding in HTTP/1.0")
        if coding.lower() != "chunked":
            raise _bad("Transfer-Encoding is not 'chunked'")
        return 0, True
    if length is None:
        return 0, False
    if not LENGTH.fullmatch(length.encode("latin-1")):
        raise _bad("Content-Length is not a number of octets")
    return int(length), False


def _expects_continue(headers: dict[str, str]) -> bool:
    expectation = headers.pop("EXPECT", None)
    if expectation is None:
        return False
    if expectation.lower() != "100-continue":
        raise RequestRefused(HTTPStatus.EXPECTATION_FAILED, "only 100-continue can be expected")
    return True


def _normalise_connection(headers: dict[str, str]) -> None:
    """Leave 'close', 'keep-alive' or nothing; the other options are not for us."""
    options = {option.strip().lower() for option in headers.pop("CONNECTION", "").split(",")}
    for known in ("close", "keep-alive"):
        if known in options:
            headers["CONNECTION"] = known
            return


class ChunkedBody:
    """Reads a chunked body (RFC 9112 section 7.1) without extensions and trailers.

    Both are legal and nobody needs them; extensions are read differently by different
    servers.  ``keep`` is called with the content, piece by piece; ``left`` is what the present
    chunk says is still to come.
    """

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep
        self._line = b""
        self.left = 0
        self._after_chunk = False
        self._last = False
        self.complete = False

    def received(self, octets: bytes) -> int:
        """Read on; return how many octets were used: fewer than given when it is complete.

        Raises:
            RequestRefused: these are no chunks.
        """
        at = 0
        while at < len(octets) and not self.complete:
            if self.left:
                piece = octets[at : at + self.left]
                self._keep(piece)
                self.left -= len(piece)
                self._after_chunk = not self.left
                at += len(piece)
            else:
                at = self._read_line(octets, at)
        return at

    def _read_line(self, octets: bytes, at: int) -> int:
        end = octets.find(b"\n", at, at + CHUNK_LINE_OCTETS)
        stop = end + 1 if end >= 0 else min(len(octets), at + CHUNK_LINE_OCTETS)
        self._line += octets[at:stop]
        if self._line.endswith(b"\r\n"):
            self._use_line(self._line[:-2])
            self._line = b""
        elif end >= 0 or len(self._line) >= CHUNK_LINE_OCTETS:
            raise _bad("a line between chunks that is too long or does not end with CR LF")
        return stop

    def _use_line(self, line: bytes) -> None:
        if self._after_chunk or self._last:
            if line:
                raise _bad("a trailer, or a chunk that is longer than it says")
            self._after_chunk = False
            self.complete = self._last
            return
        if not CHUNK_SIZE.fullmatch(line):
            raise _bad("a chunk size that is not one to eight hexadecimal digits")
        self.left = int(line, 16)
        self._last = not self.left
