"""Answers that take a shortcut past the application: found by their path, written as HTTP."""

import logging
from collections.abc import Iterable
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from itertools import chain

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Clock
from pikaserver.api.web import ReadyAnswer, Security, Service, Shortcut, WholeRequest
from pikaserver.web.boundary import DEFAULT_HEADERS
from pikaserver.web.requests import Request

IDENT = "pikaserver"
METHODS = frozenset({"GET", "POST"})

logger = logging.getLogger(__name__)


class Shortcuts:
    """The shortcuts of the services behind one listener."""

    def __init__(self, services: Iterable[Service], clock: Clock) -> None:
        self._clock = clock
        self._found: dict[str, tuple[Shortcut, Service]] = {}
        for service in services:
            if service.shortcut is not None:
                self._found[_first_segment(service)] = (service.shortcut, service)

    def at_hand(self, request: Request) -> bytes | None:
        """Return a whole answer that costs no time; the connection stays open after it."""
        if not self._found or closes(request):
            return None
        return self._answered(request, at_hand=True)

    def answer(self, request: Request) -> bytes | None:
        """Return a whole answer, in a thread for requests."""
        return self._answered(request, at_hand=False) if self._found else None

    def _answered(self, request: Request, *, at_hand: bool) -> bytes | None:
        found = self._found.get(request.path[1:].partition("/")[0])
        if found is None or request.error is not None or request.unread:
            return None
        if request.caller is None or request.command not in METHODS:
            return None
        shortcut, service = found
        body = request.get_body_stream().read()
        if len(body) > service.body_limit_octets:
            return None
        connection = request.caller.connection
        whole = WholeRequest(request.command, request.path, request.headers, body, connection)
        try:
            answer = shortcut.at_hand(whole) if at_hand else shortcut.answer(whole)
            return None if answer is None else octets(answer, request, self._clock())
        except Exception:
            # The request boundary: the application tries again, and tells what goes wrong.
            logger.exception("shortcut failed", extra={"event": "shortcut"})
            return None


def _first_segment(service: Service) -> str:
    path = service.shortcut.path if service.shortcut is not None else ""
    first = path.removeprefix("/")
    if not first or "/" in first or path == first:
        raise ConfigurationError(
            f"the shortcut of service {service.name!r} has the path {path!r};"
            " it should be one segment, like '/ocsp'"
        )
    if service.security is not Security.PLAIN:
        raise ConfigurationError(
            f"service {service.name!r} needs TLS, which a shortcut does not look at"
        )
    return first


def closes(request: Request) -> bool:
    """Tell whether the connection ends after the answer (RFC 9112 section 9.3)."""
    said = request.headers.get("CONNECTION", "")
    return said == "close" or (request.version == "1.0" and said != "keep-alive")


def octets(answer: ReadyAnswer, request: Request, now: datetime) -> bytes:
    """Return an answer as HTTP."""
    connection = b""
    if closes(request):
        connection = b"Connection: close\r\n"
    elif request.version == "1.0":
        connection = b"Connection: Keep-Alive\r\n"
    return b"".join(
        (
            b"HTTP/%s " % request.version.encode(),
            _head(answer.content_type, answer.headers),
            connection,
            b"Content-Length: %d\r\nDate: %s\r\n\r\n"
            % (len(answer.body), _date(int(now.timestamp()))),
            answer.body,
        )
    )


@lru_cache(maxsize=512)
def _head(content_type: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Return what many answers have in common; headers that would be two lines are refused."""
    own = {name.lower() for name, _ in headers}
    usual = ((name, value) for name, value in DEFAULT_HEADERS.items() if name not in own)
    lines = [f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}", f"Content-Type: {content_type}"]
    lines += [f"{name.title()}: {value}" for name, value in chain(headers, usual)]
    lines.append(f"Server: {IDENT}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of two lines")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
