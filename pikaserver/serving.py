"""Listeners, jobs and everything else that runs while the server serves."""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pikaserver.api.operations import Health, HealthCheck, HealthState, Job
from pikaserver.api.web import Listener, PortHolder, Service
from pikaserver.authority.recovery import resolve_intents
from pikaserver.ground import items
from pikaserver.jobs import JobRunner
from pikaserver.own_certificate import OwnCertificate
from pikaserver.periodic_checkpoints import PeriodicCheckpoints
from pikaserver.publishing.audit_copies import AuditCopies
from pikaserver.publishing.queues import open_queues
from pikaserver.publishing.reports import Reports
from pikaserver.publishing.workers import Publishing
from pikaserver.server import PkiServer
from pikaserver.settings.model import ListenerSettings, TlsFiles
from pikaserver.storage import leases
from pikaserver.web.application import Application, build_application
from pikaserver.web.health import health_service
from pikaserver.web.limits import Limits
from pikaserver.web.listeners import WebListener, WebListenerSettings, services_of
from pikaserver.web.tls import IdentityFiles, TlsSettings
from pikaserver.web.tls_contexts import TlsIdentity

DRAIN_SECONDS = 10
"""How long a request that runs may still take when the server stops."""

FAULT_SECONDS = 60
"""How long the readiness tells of something that could not be stored."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """A web listener with the application that it serves."""

    listener: WebListener
    application: Application

    @property
    def port(self) -> int:
        """The port that it is bound to, 0 for a Unix socket."""
        return self.listener.address[1]

    def start(self) -> None:
        """Open it."""
        self.listener.start(self.application)

    def stop(self) -> None:
        """Close it; what runs may still end."""
        self.listener.stop(DRAIN_SECONDS)


TAKE_OVER_EVERY = timedelta(minutes=5)
"""How long after its moment a prepared key takes over at the latest."""


class RunningServer:
    """Everything that runs; `start` brings it up in order, `stop` ends it in reverse."""

    def __init__(self, server: PkiServer) -> None:
        self.server = server
        plugins = server.plugins
        self._own = OwnCertificate(server, own_names(server))
        self._copies = AuditCopies(server.database, items(plugins.audit_sinks(server.for_plugins)))
        holder = f"{server.host.server.node}@{socket.gethostname()}:{os.getpid()}"
        queues, ground = open_queues(server, holder)
        self._publishing = Publishing(queues, ground, server.database.changes)
        self._reports = Reports(self._publishing, ground.supply)
        server.events.add([self._publishing])
        self._checkpoints = PeriodicCheckpoints(server)
        self._jobs = JobRunner(server.database, leases, server.clock, self._all_jobs(), holder)
        self._web = self._open_doors(items(plugins.services(server.for_plugins)))
        self._doors: list[Door | Listener] = [
            *items(plugins.listeners(server.for_plugins)),
            *self._web,
        ]
        self._started: list[Door | Listener] = []

    @property
    def addresses(self) -> dict[str, str]:
        """Where each web listener really listens, by its name."""
        listeners = [door.listener for door in self._web]
        found = {one.settings.name: one.address for one in listeners}
        return {name: f"{host}:{port}" if port else host for name, (host, port) in found.items()}

    def start(self) -> None:
        """Resolve what a stopped process of this node left, start jobs, open the doors.

        Raises:
            ConfigurationError: a plugin refuses to start, or a port is taken.
        """
        server = self.server
        left = resolve_intents(server.database, server.audit, server.host.server.node)
        if left:
            _log.warning("intents resolved", extra={"event": "recovery", "intents": left})
        with server.database.transaction() as connection:
            leases.take_over(connection, f"{server.node}@", server.clock())
        server.crls.issue_due()
        server.plugins.startup(server.for_plugins)
        self._copies.skip_past()
        self._jobs.start()
        self._publishing.start()
        try:
            for door in self._doors:
                door.start()
                self._started.append(door)
                if isinstance(door, PortHolder):
                    server.bound_ports.add(door.port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the doors, finish what runs, and let the plugins go."""
        while self._started:
            self._started.pop().stop()
        self._jobs.stop()
        self._publishing.stop()
        self.server.plugins.shutdown(self.server.for_plugins)

    def _storing(self) -> Health:
        """Tell of transactions that were not kept; CRLs and states are served on meanwhile."""
        fault = self.server.database.last_fault()
        if fault is None or fault[0] > FAULT_SECONDS:
            return Health(HealthState.OK, "what was to be stored was stored")
        why = f"something could not be stored {fault[0]:.0f} seconds ago: {fault[1]}"
        return Health(HealthState.DEGRADED, why)

    def _open_doors(self, services: list[Service]) -> list[Door]:
        server = self.server
        listeners = [
            self._listener(name, one, services) for name, one in server.host.listeners.items()
        ]
        checks = [check for listener in listeners for check in listener.health_checks()]
        checks += [HealthCheck("tls", self._own.health), HealthCheck("storing", self._storing)]
        checks.append(HealthCheck("services", server.services.health))
        checks += [*self._reports.health_checks(), *self._checkpoints.health_checks()]
        checks += items(server.plugins.health_checks(server.for_plugins))
        metrics = [*self._reports.metrics(), *items(server.plugins.metrics(server.for_plugins))]
        health = health_service(checks, metrics)
        everything = [health, *services]
        return [
            Door(
                listener,
                build_application(
                    services_of(listener.settings, everything), entropy=server.entropy
                ),
            )
            for listener in listeners
        ]

    def _all_jobs(self) -> list[Job]:
        server = self.server
        jobs = [*items(server.plugins.jobs(server.for_plugins)), *self._checkpoints.jobs()]
        jobs.append(Job("take-over", TAKE_OVER_EVERY, server.taking_over.due))
        # A job takes a lease each time, so one without work would keep an idle disk busy.
        if self._copies.sinks:
            jobs.append(Job("audit-copies", timedelta(seconds=2), self._copies.run))
        return jobs

    def _listener(
        self, name: str, section: ListenerSettings, services: list[Service]
    ) -> WebListener:
        served = [service for service in services if service.name in section.serve]
        return WebListener(
            listener_settings(name, section, self._tls(section)),
            Limits(**self.server.host.limits_of(name).model_dump()).serving(served),
            entropy=self.server.entropy,
            clock=self.server.clock,
            shortcuts=served,
        )

    def _tls(self, section: ListenerSettings) -> TlsSettings | None:
        if section.tls is None:
            return None
        first, *also = (self._identity(one) for one in (section.tls, *section.tls.also))
        return TlsSettings(first, self._trust_anchors, tuple(also))

    def _identity(self, files: TlsFiles) -> Callable[[], TlsIdentity]:
        if files.automatic:
            return self._own.identity
        host = self.server.host
        return IdentityFiles(host.path(files.certificate), host.path(files.key or ""))

    def _trust_anchors(self) -> Sequence[bytes]:
        return [key.generation.certificate for key in self.server.authorities.all_keys()]


def listener_settings(
    name: str, section: ListenerSettings, tls: TlsSettings | None
) -> WebListenerSettings:
    """Return a section of the settings in the words of the web package."""
    host, port = ("", 0) if section.unix_path else section.address
    return WebListenerSettings(
        name=name,
        host=host,
        port=port,
        serve=section.serve,
        unix_socket=section.unix_path,
        tls=tls,
        client_certificates=section.client_certificates,
        trusted_proxies=tuple(ipaddress.ip_network(one) for one in section.trusted_proxies),
        proxy_certificate_header=section.proxy_certificate_header,
    )


def own_names(server: PkiServer) -> list[str]:
    """Return the names by which clients reach this server over TLS."""
    names = [server.host.server.hostname or socket.getfqdn()]
    for section in server.host.listeners.values():
        if section.tls is None or section.unix_path is not None:
            continue
        host, _ = section.address
        if not _is_address(host):
            continue
        address = ipaddress.ip_address(host)
        if not address.is_unspecified:
            names.append(host)
        if address.is_loopback:
            names.append("localhost")
    return names


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
