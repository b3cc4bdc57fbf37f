"""The web listeners: each a socket, its services, its own loop and workers, in one process."""

import difflib
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Clock, Entropy, Health, HealthCheck, HealthState
from pikaserver.api.web import Security, Service
from pikaserver.web.application import Application
from pikaserver.web.forwarded import Network, ProxyRules
from pikaserver.web.limits import Limits
from pikaserver.web.servers import Server
from pikaserver.web.shortcuts import Shortcuts
from pikaserver.web.sockets import bind_tcp, bind_unix, make_room
from pikaserver.web.terms import Terms, Traffic
from pikaserver.web.tls import TlsContexts, TlsSettings
from pikaserver.web.tls_contexts import ClientCertificates

SWITCH_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class WebListenerSettings:
    """Where a listener stands and for whom; port 0 lets the system choose.

    With ``unix_socket`` host and port do not count, and whoever may open the socket is
    believed as a proxy.  ``serve`` names services.
    """

    name: str
    host: str
    port: int
    serve: tuple[str, ...]
    unix_socket: str | None = None
    tls: TlsSettings | None = None
    client_certificates: ClientCertificates = "none"
    trusted_proxies: tuple[Network, ...] = ()
    proxy_certificate_header: str | None = None

    @property
    def behind_proxy(self) -> bool:
        """Whether a proxy may speak for the caller."""
        return bool(self.trusted_proxies) or self.unix_socket is not None


def services_of(settings: WebListenerSettings, services: Sequence[Service]) -> list[Service]:
    """Return the services that a listener names.

    Raises:
        ConfigurationError: there is no such service, or it needs TLS and the listener has none.
    """
    known = {service.name: service for service in services}
    chosen = []
    for name in settings.serve:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ConfigurationError(
                f"listeners.{settings.name}.serve names {name!r}, which is no service; {hint}"
            )
        if (
            known[name].security is Security.TLS
            and settings.tls is None
            and not settings.behind_proxy
        ):
            raise ConfigurationError(
                f"listeners.{settings.name} has no TLS, which service {name!r} needs; give it"
                " tls, or name the proxy that ends TLS in trusted-proxies"
            )
        chosen.append(known[name])
    return chosen


class WebListener:
    """One listener; it binds in `start` and serves until `stop`.

    The application comes with `start`: it may hold the health service, which asks the listener.
    Requests for ``shortcuts``, the services that have one, do not all reach it.
    """

    def __init__(
        self,
        settings: WebListenerSettings,
        limits: Limits,
        *,
        entropy: Entropy,
        clock: Clock,
        shortcuts: Sequence[Service] = (),
    ) -> None:
        self.settings = settings
        self._shortcuts = Shortcuts(shortcuts, clock)
        self._limits = limits
        self._entropy = entropy
        self._clock = clock
        self.traffic = Traffic()
        self._contexts: TlsContexts | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as bound; the path and 0 for a Unix socket."""
        return self._started().getsockname()

    def health_checks(self) -> list[HealthCheck]:
        """Return the checks of the listener's loop and of its certificate."""
        checks = [HealthCheck(f"listener-{self.settings.name}", self._loop_health)]
        if self.settings.tls is not None:
            checks.append(HealthCheck(f"tls-{self.settings.name}", self._tls_health))
        return checks

    def _loop_health(self) -> Health:
        if self._thread is None or not self._thread.is_alive():
            return Health(HealthState.FAILING, "the listener does not run")
        return Health(HealthState.OK, f"{self.traffic.open.total()} connections are open")

    def _tls_health(self) -> Health:
        if self._contexts is None:
            return Health(HealthState.FAILING, "the listener does not run")
        return self._contexts.health()

    def start(self, application: Application) -> None:
        """Bind and serve; the socket takes connections when this returns.

        Raises:
            ConfigurationError: the address cannot be bound or the certificate not be used.
        """
        # While a worker computes, the loop waits for the GIL this long at most.  With Python's
        # 5 ms every read, write and accept of the other connections would wait so.
        sys.setswitchinterval(SWITCH_SECONDS)
        settings = self.settings
        _check(settings)
        if settings.tls is not None:
            self._contexts = TlsContexts(
                settings.name, settings.tls, settings.client_certificates, self._clock
            )
        terms = Terms(
            settings.name,
            self._limits,
            ProxyRules(settings.trusted_proxies, settings.proxy_certificate_header),
            self._contexts,
            self._entropy,
            self.traffic,
            self._shortcuts,
        )
        self._server = Server(application, self._bind(), terms)
        self._thread = threading.Thread(
            target=self._server.run, name=f"{settings.name}-loop", daemon=True
        )
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Accept nothing more, let running requests end in so many seconds, then close."""
        server, thread = self._started(), self._thread
        if thread is not None and thread.is_alive():
            server.stop(drain_seconds)
            thread.join()
        if self.settings.unix_socket is not None:
            Path(self.settings.unix_socket).unlink(missing_ok=True)

    def _bind(self) -> socket.socket:
        settings = self.settings
        try:
            make_room(self._limits)
            if settings.unix_socket is not None:
                return bind_unix(Path(settings.unix_socket))
            return bind_tcp(settings.host, settings.port)
        except ConfigurationError as error:
            raise ConfigurationError(f"listeners.{settings.name} {error}") from error

    def _started(self) -> Server:
        if self._server is None:
            raise RuntimeError(f"listener {self.settings.name!r} was not started")
        return self._server


def _check(settings: WebListenerSettings) -> None:
    place = f"listeners.{settings.name}"
    if settings.client_certificates != "none" and settings.tls is None:
        raise ConfigurationError(f"{place}.client-certificates needs {place}.tls")
    if settings.proxy_certificate_header is not None and not settings.behind_proxy:
        raise ConfigurationError(
            f"{place}.proxy-certificate-header needs {place}.trusted-proxies: from anybody else"
            " the header is not believed"
        )
