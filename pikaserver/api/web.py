"""Doors: services with their routes, who is on the line, and how callers are recognised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

import falcon

from pikaserver.api.errors import PikaserverError
from pikaserver.api.issuance import Requester

CONNECTION_KEY = "pikaserver.connection"
"""Where the listener leaves a `ClientConnection` in the WSGI environ: no header can reach it."""


@dataclass(frozen=True, slots=True)
class TlsSession:
    """What TLS told the listener.

    ``certificate`` is the client's, DER: proved to be held, and verified but for revocation and
    purpose, which are to be asked on every request.  One that cannot be verified is never
    here; ``certificate_fault`` then says why in a sentence for the client.
    ``channel_bindings`` holds ``tls-exporter`` (RFC 9266) of TLS 1.3, ``tls-unique`` (RFC 5929)
    of TLS 1.2.
    """

    version: str
    cipher: str
    certificate: bytes | None
    channel_bindings: Mapping[str, bytes] = field(default_factory=dict)
    certificate_fault: str | None = None


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """Who is on the line, as the listener saw it; ``tls`` is ``None`` on a plain line."""

    listener: str
    address: str
    tls: TlsSession | None


def client_connection(request: falcon.Request) -> ClientConnection:
    """Return what the listener knows of the caller; nothing in it can be written by a header."""
    connection = request.env[CONNECTION_KEY]
    if not isinstance(connection, ClientConnection):
        raise TypeError(f"{CONNECTION_KEY} holds a {type(connection).__name__}")
    return connection


class Security(Enum):
    """What a service needs of a listener; a listener that gives less stops the start."""

    PLAIN = "plain"
    """Signed objects only: may be served without TLS."""
    TLS = "tls"
    """Server-authenticated TLS; the client may show a certificate where the listener asks."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path in Falcon's syntax and the resource that answers it."""

    path: str
    resource: object


AnswerError = Callable[[falcon.Request, falcon.Response, PikaserverError], None]
"""Writes an error in the protocol's own words; raised again, it goes out as a problem."""


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """A request as a `Shortcut` is shown it.

    ``path`` is decoded and without the query; ``headers`` are named as in a WSGI environ,
    without ``HTTP_``.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: ClientConnection


@dataclass(frozen=True, slots=True)
class ReadyAnswer:
    """An answer with status 200; ``headers`` go out beside Content-Type and Content-Length."""

    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Shortcut(Protocol):
    """Answers the usual requests of a service with less ado than its routes.

    For services that are asked thousands of times a second.  Such an answer leaves no line in
    the log.  What a shortcut leaves, by ``None``, goes the ordinary way through the routes.
    """

    @property
    def path(self) -> str:
        """Asked for this path, of one segment, and those below it: ``/ocsp``."""
        ...

    def at_hand(self, request: WholeRequest) -> ReadyAnswer | None:
        """Answer from memory: the listener's loop stands still meanwhile, so nothing may wait."""
        ...

    def answer(self, request: WholeRequest) -> ReadyAnswer | None:
        """Answer in a thread for requests."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """One door: listeners name the services that they serve.

    Without ``answer_error`` errors go out as problem+json (RFC 9457).  A body of more than
    ``body_limit_octets`` is answered with `TooLarge` and never reaches the resource, nor the
    ``shortcut``.

    What nobody foresaw reaches ``answer_error`` as a bare `PikaserverError`, to be said in the
    protocol's words without a reason.  With a ``base_path`` everything below it is this
    service's: a path without a route and a method that none takes come as `HttpRefused`.
    """

    name: str
    security: Security
    routes: Sequence[Route]
    answer_error: AnswerError | None = None
    body_limit_octets: int = 64 * 1024
    shortcut: Shortcut | None = None
    base_path: str | None = None


class Authenticator(Protocol):
    """Recognises one kind of credential."""

    @property
    def method(self) -> str:
        """What templates and doors call this kind: ``code``, ``certificate``."""
        ...

    def authenticate(self, request: falcon.Request) -> Requester | None:
        """Return who asks, or ``None`` when there is no credential of this kind.

        Raises:
            NotAuthenticated: the credential is there and wrong.
        """
        ...


class Listener(Protocol):
    """A socket that does not speak HTTP; it starts after the web listeners' services exist."""

    def start(self) -> None:
        """Begin to accept; return at once."""
        ...

    def stop(self) -> None:
        """Close the socket and end its threads."""
        ...


@runtime_checkable
class PortHolder(Protocol):
    """A listener that tells its port, so that nothing of ours is made to connect there."""

    @property
    def port(self) -> int:
        """The TCP port once it has started, 0 for none."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """A line of the service-URL page: what to type into a client.

    ``path`` is appended to the base URL of a listener that serves ``service``; in
    ``commands`` the word ``{url}`` stands for the whole URL.
    """

    service: str
    title: str
    path: str
    commands: tuple[tuple[str, str], ...] = ()
