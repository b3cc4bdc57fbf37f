"""Files sent over HTTP: streamed, with an end to every wait, over TLS of our choice."""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pikaserver.api.errors import ConfigurationError, RequestRejected, Unavailable
from pikaserver_publish.contents import Content
from pikaserver_publish.deadlines import PATIENCE, deadline
from pikaserver_publish.settings import TlsSettings

ANSWER_LIMIT_OCTETS = 64 * 1024
_SHOWN = 200
_AGAIN = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request: ``headers`` without those that follow from the rest."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in small letters."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Makes one connection per exchange."""

    def __init__(self, tls: TlsSettings, timeout_seconds: float) -> None:
        self._tls = tls
        self._timeout = timeout_seconds

    def send(self, exchange: Exchange) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises:
            Unavailable: nobody answers, or not in HTTP, or not in time.
        """
        parts = urlsplit(exchange.url)
        connection = self._connection(parts.scheme, parts.netloc)
        try:
            connection.connect()
            with deadline(connection.sock, self._timeout * PATIENCE):
                return _exchanged(connection, exchange)
        except (OSError, http.client.HTTPException) as error:
            # http.client's errors may be without a text.
            why = str(error) or type(error).__name__
            raise Unavailable(f"{parts.netloc} cannot be reached: {why}") from error
        finally:
            connection.close()

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(netloc, timeout=self._timeout)
        context = tls_context(self._tls)
        return http.client.HTTPSConnection(netloc, timeout=self._timeout, context=context)


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return whom to trust and who we are; files are read anew, for certificates are renewed.

    Raises:
        ConfigurationError: a file cannot be read, or is no certificate or key.
    """
    file = tls.ca_file
    try:
        context = ssl.create_default_context(cafile=file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        file = tls.client_key or tls.client_certificate
        if tls.client_certificate is not None:
            context.load_cert_chain(tls.client_certificate, tls.client_key, _no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(f"{file} cannot be used for TLS: {error}") from error
    return context


def check_stored(answer: Answer, what: str) -> None:
    """Return when an answer says that all is well.

    Raises:
        Unavailable: the target cannot do it now, or does not know us.
        RequestRejected: it does not take this one.
    """
    if 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110 section 15.3
        return
    text = answer.body.decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else " " for c in text)[:_SHOWN].strip()
    place = f" to {answer.headers['location']}" if "location" in answer.headers else ""
    why = f"{what}: {answer.status} {answer.reason}{place} {shown}".strip()
    if answer.status >= 500 or answer.status in _AGAIN or answer.status == 401:  # noqa: PLR2004 - as RFC 9110 counts
        raise Unavailable(why)
    raise RequestRejected(why)


def _exchanged(connection: http.client.HTTPConnection, exchange: Exchange) -> Answer:
    parts = urlsplit(exchange.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = dict(exchange.headers)
    content = exchange.content
    if content is not None:
        headers |= {"Content-Length": str(content.size), "Content-Type": content.content_type}
    body = content.pieces() if content is not None else None
    # Who refuses a large body answers before it is through; the answer says why.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(exchange.method, target, body, headers)
    response = connection.getresponse()
    octets = response.read(ANSWER_LIMIT_OCTETS)
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, response.reason, found, octets)


def _no_password() -> bytes:
    raise ConfigurationError("a client key should have no passphrase")
