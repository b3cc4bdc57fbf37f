"""CRLs over HTTP: asked for with the validators of the last answer, with an end to every wait."""

import base64
import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from pikaserver.api.errors import ConfigurationError, MalformedRequest, Unavailable
from pikaserver.api.outgoing import deadline
from pikaserver.asn1.crl_reading import LARGEST_CRL

LARGEST_ANSWER = 2 * LARGEST_CRL
"""In PEM a CRL is a third longer."""
_LONGEST_SECONDS = 600.0
_REDIRECTS = 5
_PIECE_OCTETS = 64 * 1024
_OK, _NOT_MODIFIED = 200, 304
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Access:
    """Whom to trust, who we are, and how long a connection may do nothing."""

    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    timeout_seconds: float = 30.0

    def context(self) -> ssl.SSLContext:
        """Return it for TLS; files are read anew, for certificates are renewed.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self.ca_file} cannot be used for TLS: {error}") from error
        self.show_certificate(context)
        return context

    def show_certificate(self, context: ssl.SSLContext) -> None:
        """Let a context show our certificate as it is now.

        Raises:
            ConfigurationError: the files cannot be used.
        """
        if self.client_certificate is None:
            return
        try:
            # An empty passphrase keeps OpenSSL from asking at a terminal.
            context.load_cert_chain(self.client_certificate, self.client_key, lambda: b"")
        except (OSError, ValueError) as error:
            why = f"{self.client_certificate} cannot be used for TLS: {error}"
            raise ConfigurationError(why) from error

    def password(self) -> str | None:
        """Return what the password file holds.

        Raises:
            ConfigurationError: it cannot be read.
        """
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self.password_file} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells a server which answer we have (RFC 9110 section 8.8)."""

    etag: str | None = None
    modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the conditions of a request."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: ``octets`` are ``None`` when nothing changed."""

    octets: bytes | None
    validators: Validators


def fetch(url: str, access: Access, validators: Validators = Validators()) -> Fetched:
    """Return what lies behind a URL, if it is another thing than last time.

    Raises:
        Unavailable: nobody answers, or not with that; ``retry_after`` is what was asked for.
        MalformedRequest: it is longer than any CRL that we read.
    """
    for _ in range(_REDIRECTS + 1):
        answer = _ask(url, access, validators)
        if isinstance(answer, Fetched):
            return answer
        url = _next(url, answer)
    raise Unavailable(f"{url} redirects again and again", 0)


def _ask(url: str, access: Access, validators: Validators) -> Fetched | str:
    """Return the answer, or where it is instead."""
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.netloc, access)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept-Encoding": "identity", **validators.headers(), **_credentials(access)}
    try:
        connection.connect()
        with deadline(connection.sock, _LONGEST_SECONDS):
            connection.request("GET", target, headers=headers)
            return _read(url, connection.getresponse(), validators)
    except (OSError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
        raise Unavailable(f"{url} cannot be fetched: {why}", 0) from error
    finally:
        connection.close()


def _read(url: str, answer: http.client.HTTPResponse, had: Validators) -> Fetched | str:
    if answer.status == _NOT_MODIFIED:
        return Fetched(None, had)
    if answer.status in _MOVED and answer.headers["Location"]:
        return str(answer.headers["Location"])
    if answer.status != _OK:
        wait = answer.headers["Retry-After"] or ""
        seconds = int(wait) if wait.isdecimal() and len(wait) < len("100000") else 0
        raise Unavailable(f"{url} answers {answer.status} {answer.reason}", seconds)
    octets = bytearray()
    while piece := answer.read(_PIECE_OCTETS):
        octets += piece
        if len(octets) > LARGEST_ANSWER:
            raise MalformedRequest(f"{url} has more than {LARGEST_ANSWER} octets")
    if answer.length:
        raise Unavailable(f"{url} broke off with {answer.length} octets to come", 0)
    return Fetched(
        bytes(octets), Validators(answer.headers["ETag"], answer.headers["Last-Modified"])
    )


def _next(url: str, location: str) -> str:
    there = urljoin(url, location)
    if urlsplit(there).scheme not in {"https", urlsplit(url).scheme}:
        raise Unavailable(f"{url} redirects to {there}, which is not as safe", 0)
    return there


def _connection(scheme: str, netloc: str, access: Access) -> http.client.HTTPConnection:
    seconds = access.timeout_seconds
    if scheme == "http":
        return http.client.HTTPConnection(netloc, timeout=seconds)
    return http.client.HTTPSConnection(netloc, timeout=seconds, context=access.context())


def _credentials(access: Access) -> dict[str, str]:
    password = access.password()
    if access.user is None or password is None:
        return {}
    pair = base64.b64encode(f"{access.user}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {pair}"}
