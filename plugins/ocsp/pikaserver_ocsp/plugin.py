"""OCSP (RFC 6960, RFC 9919, RFC 9654): hooks of the plugin."""

from datetime import timedelta
from weakref import WeakKeyDictionary

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import (
    Health,
    HealthCheck,
    HealthState,
    Job,
    Metric,
    Observer,
    Sample,
)
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver.asn1.ocsp_requests import LIMIT_OCTETS
from pikaserver_ocsp.assembly import Ocsp, assemble
from pikaserver_ocsp.commands import ocsp
from pikaserver_ocsp.resources import Errors, OcspResource
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_ocsp.shortcut import PATH
from pikaserver_ocsp.storage import metadata

SERVICE = "ocsp"

# Hooks are asked one by one, and all of them mean the same responder.
_ASSEMBLED: WeakKeyDictionary[Server, Ocsp] = WeakKeyDictionary()


def of(server: Server) -> Ocsp:
    """Return the responder of a server, which all hooks share."""
    if server not in _ASSEMBLED:
        _ASSEMBLED[server] = assemble(server)
    return _ASSEMBLED[server]


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return OcspSettings


@hookimpl
def register_migrations() -> Migrations:
    """Bring the table of answers that are signed already."""
    return Migrations("ocsp", "pikaserver_ocsp.migrations", metadata)


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``ocsp check``."""
    return [ocsp]


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the responder; its answers are signed, so plain HTTP is enough."""
    found = of(server)
    resource = OcspResource(found.door, found.responder, found.clock)
    return [
        Service(
            SERVICE,
            Security.PLAIN,
            [Route(PATH, resource), Route(f"{PATH}/{{rest:path}}", resource)],
            Errors(found.responder),
            body_limit_octets=LIMIT_OCTETS,
            shortcut=found.shortcut,
        )
    ]


@hookimpl
def register_service_urls(server: Server) -> list[ServiceUrl]:
    """Show where each authority's responder is."""
    lines = [ServiceUrl(SERVICE, "OCSP", "/ocsp")]
    for name in server.authorities.names():
        check = f"openssl ocsp -issuer {name}.pem -cert CERTIFICATE -url {{url}}"
        lines.append(ServiceUrl(SERVICE, f"OCSP of {name}", f"/ocsp/{name}", (("openssl", check),)))
    return lines


@hookimpl
def register_observers(server: Server) -> list[Observer]:
    """Sign anew what is said of a certificate that is revoked, held or released."""
    return [of(server).keeper]


@hookimpl
def register_jobs(server: Server) -> list[Job]:
    """Keep stored answers fresh."""
    found = of(server)
    return [Job("ocsp", timedelta(seconds=found.settings.refresh_every), found.refresh)]


@hookimpl
def register_health_checks(server: Server) -> list[HealthCheck]:
    """Tell which responders cannot sign."""
    found = of(server)

    def check() -> Health:
        unknown = set(found.settings.authorities) - set(server.authorities.names())
        if unknown:
            names = ", ".join(sorted(unknown))
            detail = f"plugins.ocsp.authorities names {names}, and there is no such authority"
            return Health(HealthState.DEGRADED, detail)
        return found.counts.health()

    return [HealthCheck("ocsp", check)]


@hookimpl
def register_metrics(server: Server) -> list[Metric]:
    """Count answers, signatures, and questions for what was never issued."""
    found = of(server)
    counts = found.counts

    def kept() -> list[Sample]:
        return [Sample(len(found.store))]

    return [
        Metric(
            "pikaserver_ocsp_responses_total",
            "Answers about one certificate each by what they said, and errors.",
            "counter",
            counts.answers,
        ),
        Metric(
            "pikaserver_ocsp_signatures_total",
            "Answers signed.",
            "counter",
            counts.signatures,
        ),
        Metric(
            "pikaserver_ocsp_never_issued_total",
            "Questions for serial numbers that the authority never gave out.",
            "counter",
            counts.strangers,
        ),
        Metric("pikaserver_ocsp_kept_answers", "Answers kept in memory.", "gauge", kept),
    ]


@hookimpl
def startup(server: Server) -> None:
    """Let the keeper work."""
    of(server).keeper.start()


@hookimpl
def shutdown(server: Server) -> None:
    """Store what is left."""
    of(server).keeper.stop()
