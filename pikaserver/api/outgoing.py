"""Connections that plugins make to services elsewhere: over TLS, with an end to every wait.

Deeds and not words, as in `pikaserver.api.files`: publishers and challenge methods all need
them, and none may get them wrong.
"""

import base64
import http.client
import json
import os
import socket
import ssl
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pikaserver.api.errors import ConfigurationError, Unavailable

_SECRET_LIMIT_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe, and who we are; files of PEM, read for each connection.

    Without ``ca_file`` those are believed whom the system trusts; without ``client_key`` the
    key stands in the file of the certificate.
    """

    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked to CONNECT; what goes through it is encrypted beyond it."""

    url: str
    user: str | None = None
    password_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How a service is reached.

    ``timeout_seconds`` is how long nothing may happen, ``exchange_seconds`` how long a whole
    exchange may take; of an answer's body so many octets are read.
    """

    timeout_seconds: float
    exchange_seconds: float
    answer_limit_octets: int
    trust: Trust = Trust()
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request; one with a body in pieces says ``Content-Length`` itself."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | Iterable[bytes] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in small letters."""

    status: int
    body: bytes = field(repr=False)
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

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

    def __init__(self, route: Route) -> None:
        self._route = route

    def send(self, exchange: Exchange) -> Answer:
        """Send a request and return the answer, whatever its status; no redirect is followed.

        Raises:
            ConfigurationError: a file that the route names cannot be used.
            Unavailable: nobody answers, or not in HTTP, or not in time.
        """
        parts = urlsplit(exchange.url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.connect()
            with deadline(connection.sock, self._route.exchange_seconds):
                return self._exchanged(connection, exchange)
        except (OSError, http.client.HTTPException) as error:
            # http.client's errors may be without a text.
            why = str(error) or type(error).__name__
            raise Unavailable(f"{parts.netloc} cannot be reached: {why}") from error
        finally:
            connection.close()

    def ask(self, exchange: Exchange) -> Answer:
        """Send while a request is answered: all files were there when the server started.

        Raises:
            Unavailable: as in `send`, or a file is not there now.
        """
        try:
            return self.send(exchange)
        except ConfigurationError as error:
            raise Unavailable(str(error)) from error

    def check_files(self) -> None:
        """Read all that the route names, while the server starts.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        tls_context(self._route.trust)
        _proxy_headers(self._route.proxy)

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        proxy, timeout = self._route.proxy, self._route.timeout_seconds
        end = None if proxy is None else urlsplit(proxy.url)
        where = (host, port) if end is None else (end.hostname or "", end.port or 80)
        if scheme == "http":
            connection = http.client.HTTPConnection(*where, timeout=timeout)
        else:
            context = tls_context(self._route.trust)
            connection = http.client.HTTPSConnection(*where, timeout=timeout, context=context)
        if proxy is not None:
            connection.set_tunnel(host, port, _proxy_headers(proxy))
        return connection

    def _exchanged(self, connection: http.client.HTTPConnection, exchange: Exchange) -> Answer:
        parts = urlsplit(exchange.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # Who refuses a large body answers before it is through; the answer says why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(exchange.method, target, exchange.body, dict(exchange.headers))
        response = connection.getresponse()
        octets = response.read(self._route.answer_limit_octets)
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, octets, response.reason, found)


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Return a client's side of TLS 1.2 or newer; files are read anew, for they are renewed.

    Raises:
        ConfigurationError: a file cannot be read, or is no certificate or key.
    """
    file = trust.ca_file
    try:
        context = ssl.create_default_context(cafile=file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        file = trust.client_key or trust.client_certificate
        if trust.client_certificate is not None:
            context.load_cert_chain(trust.client_certificate, trust.client_key, _no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(f"{file} cannot be used for TLS: {error}") from error
    return context


@contextmanager
def deadline(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection when the block takes longer, however busy the other side looks.

    Raises:
        TimeoutError: it did; what was read by then may be half of something.
    """
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        # Past TLS, which would want to say goodbye.
        with suppress(OSError):
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
        text = octets.decode("utf-8").rstrip("\r\n")
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


def _proxy_headers(proxy: Proxy | None) -> dict[str, str]:
    if proxy is None or proxy.user is None or proxy.password_file is None:
        return {}
    words = base64.b64encode(f"{proxy.user}:{read_secret(proxy.password_file)}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {words}"}


def _no_password() -> bytes:
    raise ConfigurationError("a client key should have no passphrase")
