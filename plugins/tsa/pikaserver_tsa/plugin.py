"""Time-stamps: hooks."""

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import HealthCheck, Metric, Sample
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_tsa.commands import tsa
from pikaserver_tsa.settings import TsaSettings
from pikaserver_tsa.station import station
from pikaserver_tsa.storage import metadata

SERVICE = "tsa"


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return TsaSettings


@hookimpl
def register_migrations() -> Migrations:
    """See ``pikaserver.hookspecs``."""
    return Migrations("tsa", "pikaserver_tsa.migrations", metadata)


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``tsa stamp``, ``tsa verify`` and ``tsa accept-clock``."""
    return [tsa]


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the routes; time-stamps are signed, so plain HTTP is enough."""
    resource = station(server).resource
    routes = [
        Route("/tsa", resource),
        Route("/tsa/{authority}", resource),
        Route("/tsa/{authority}/{unit}", resource),
    ]
    return [Service(SERVICE, Security.PLAIN, routes, resource.refuse)]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show where time is stamped."""
    stamp = (
        "openssl ts -query -data FILE -sha256 -cert | curl -fsS --data-binary @-"
        " -H 'Content-Type: application/timestamp-query' {url} -o reply.tsr"
    )
    return [ServiceUrl(SERVICE, "time-stamps", "/tsa", (("openssl", stamp),))]


@hookimpl
def register_health_checks(server: Server) -> list[HealthCheck]:
    """Tell whether the time is in doubt."""
    return [HealthCheck("tsa-clock", station(server).clock.health)]


@hookimpl
def register_metrics(server: Server) -> list[Metric]:
    """Count answers."""
    answers = station(server).resource.answers

    def read() -> list[Sample]:
        return [
            Sample(float(count), (("authority", authority), ("outcome", outcome)))
            for (authority, outcome), count in list(answers.items())
        ]

    return [Metric("pikaserver_tsa_answers_total", "Time-stamps and refusals.", "counter", read)]
