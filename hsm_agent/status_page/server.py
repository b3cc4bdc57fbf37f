"""Serves the status page on a loopback address: two files, two methods, no scripts."""

import logging
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET, AF_INET6

from hsm_agent.faults import SettingsFault
from hsm_agent.status_page.page import page
from hsm_agent.status_page.style import STYLE

SECONDS = 10.0
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_log = logging.getLogger(__name__)

Status = Callable[[], object]


class StatusServer:
    """Listens until `close`."""

    def __init__(self, address: tuple[str, int], status: Status) -> None:
        """Bind the address, which is a loopback one; port 0 takes any.

        Raises:
            SettingsFault: it cannot be had.
        """
        try:
            self._server = _Server(address, status)
        except OSError as error:
            raise SettingsFault(
                f"the status page cannot listen at {address[0]} port {address[1]}:"
                f" {error.strerror or error}; [status] bind names another one"
            ) from error
        run = self._server.serve_forever
        self._thread = threading.Thread(target=run, name="status", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where the page is."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """One thread for each request; they hold nothing up when the agent ends."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], status: Status) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.status = status
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Answers ``GET`` and ``HEAD``; every other method is unknown to the library's class."""

    server_version = "hsm-agent"
    sys_version = ""
    timeout = SECONDS

    def do_GET(self) -> None:
        """Send the page or its style sheet."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send what would be sent, without the content."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Log at the lowest level: people look at this page often."""
        _log.debug(format, *args)

    def _answer(self, *, with_body: bool) -> None:
        status, kind, body = self._content()
        octets = body.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if with_body:
            self.wfile.write(octets)

    def _content(self) -> tuple[HTTPStatus, str, str]:
        # A name that leads here by its owner's DNS is another origin to browsers: it gets nothing.
        if not is_loopback_host(self.headers.get("Host", "")):
            return HTTPStatus.MISDIRECTED_REQUEST, "text/plain", "this page has no such name\n"
        if self.path == "/style.css":
            return HTTPStatus.OK, "text/css", STYLE
        if self.path != "/":
            return HTTPStatus.NOT_FOUND, "text/plain", "there is one page: /\n"
        status = self.server.status() if isinstance(self.server, _Server) else None
        return HTTPStatus.OK, "text/html", page(status if isinstance(status, Mapping) else {})


def is_loopback_host(host: str) -> bool:
    """Tell whether a Host header names this machine by its own address or name."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
