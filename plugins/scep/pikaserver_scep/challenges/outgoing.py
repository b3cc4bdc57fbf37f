"""Services elsewhere, asked over HTTP: by a proxy where one stands, with an end to every wait."""

import base64
import http.client
import json
import os
import socket
import ssl
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pikaserver.api.errors import ConfigurationError, Unavailable
from pikaserver_scep.challenges.settings import Outgoing

ANSWER_LIMIT_OCTETS = 1 << 20
_SECRET_LIMIT_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether it is a success (RFC 9110 section 15.3)."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of status codes

    def json(self) -> dict[str, object]:
        """Return the object in the body.

        Raises:
            Unavailable: it is none, so this is not the service that we know.
        """
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Unavailable(f"the answer with status {self.status} is no JSON object")
        return found


class HttpClient:
    """Makes one connection per exchange."""

    def __init__(self, settings: Outgoing) -> None:
        self._settings = settings

    def send(self, exchange: Exchange) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises:
            Unavailable: nobody answers, or not in HTTP, or not in time.
        """
        parts = urlsplit(exchange.url)
        try:
            connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        except ConfigurationError as error:
            raise Unavailable(str(error)) from error
        try:
            connection.connect()
            with _deadline(connection.sock, self._settings.timeout_seconds):
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                headers = {"Accept": "application/json", **exchange.headers}
                connection.request(exchange.method, target, exchange.body, headers)
                response = connection.getresponse()
                return Answer(response.status, response.read(ANSWER_LIMIT_OCTETS))
        except (OSError, http.client.HTTPException) as error:
            # http.client's errors may be without a text.
            why = str(error) or type(error).__name__
            raise Unavailable(f"{parts.netloc} cannot be reached: {why}") from error
        finally:
            connection.close()

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        proxy = None if self._settings.proxy is None else urlsplit(self._settings.proxy)
        where = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        timeout = self._settings.timeout_seconds
        if scheme == "http":
            connection = http.client.HTTPConnection(*where, timeout=timeout)
        else:
            context = tls_context(self._settings.ca_file)
            connection = http.client.HTTPSConnection(*where, timeout=timeout, context=context)
        if proxy is not None:
            connection.set_tunnel(host, port, self._proxy_headers())
        return connection

    def check_files(self) -> None:
        """Read all that the settings name, while the server starts.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        tls_context(self._settings.ca_file)
        self._proxy_headers()

    def _proxy_headers(self) -> dict[str, str]:
        user, file = self._settings.proxy_user, self._settings.proxy_password_file
        if user is None or file is None:
            return {}
        words = base64.b64encode(f"{user}:{read_secret(file)}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {words}"}


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return whom to believe.

    Raises:
        ConfigurationError: the file cannot be read, or has no certificates.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"{ca_file} cannot be used for TLS: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def read_secret(path: str) -> str:
    """Return the one line of text in a file, read each time, so that a new one counts at once.

    Raises:
        ConfigurationError: it is not there, empty, or everybody may read it.
    """
    try:
        with Path(path).open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IROTH:
                raise ConfigurationError(f"everybody may read the secret in {path}: chmod o= it")
            octets = file.read(_SECRET_LIMIT_OCTETS + 1)
        text = octets.decode().rstrip("\r\n")
    except OSError as failure:
        raise ConfigurationError(f"{path} cannot be read: {failure.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text in UTF-8") from None
    if not text or len(octets) > _SECRET_LIMIT_OCTETS or not text.isprintable():
        raise ConfigurationError(f"{path} should hold one line of text")
    return text


def present_secret(path: str) -> str:
    """Return the secret while requests are answered: it was there when the server started.

    Raises:
        Unavailable: it is not there now.
    """
    try:
        return read_secret(path)
    except ConfigurationError as error:
        raise Unavailable(str(error)) from error


@contextmanager
def _deadline(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection when the block takes longer, however busy the other side looks."""
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        with suppress(OSError):
            # Past TLS, which would want to say goodbye.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if passed.is_set():
            raise TimeoutError(f"no end after {seconds:.0f} seconds")
