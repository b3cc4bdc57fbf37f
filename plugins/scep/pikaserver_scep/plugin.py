"""SCEP (RFC 8894): hooks."""

from datetime import timedelta

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import Job, Metric, Sample
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_scep.apple.links import profile_service
from pikaserver_scep.challenges.building import challenges
from pikaserver_scep.challenges.ndes import ndes_service
from pikaserver_scep.challenges.tables import metadata
from pikaserver_scep.commands import scep
from pikaserver_scep.messages import LIMIT_OCTETS
from pikaserver_scep.settings import ScepSettings
from pikaserver_scep.station import station

SERVICE = "scep"
_DAILY = timedelta(days=1)
_PATHS = (
    "/scep",
    "/scep/pkiclient.exe",
    "/scep/{template}",
    "/scep/{template}/pkiclient.exe",
    "/cgi-bin/pkiclient.exe",
    # Where NDES has it, for devices that know no other place.
    "/certsrv/mscep/mscep.dll",
    "/certsrv/mscep/mscep.dll/pkiclient.exe",
    "/CertSrv/mscep/mscep.dll",
    "/CertSrv/mscep/mscep.dll/pkiclient.exe",
)
_ENROLL = (
    "pki --scep --url {url}/device --in key.pem --dn CN=device-1 --password CHALLENGE"
    " --cacert-enc ra.pem --cacert-sig ra.pem --cacert ca.pem --outform pem > cert.pem"
)
_STRONGSWAN = (
    ("CA certificates", "pki --scepca --url {url}/device --caout ca.pem --raout ra.pem"),
    ("enrol with a challenge", _ENROLL),
)


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return ScepSettings


@hookimpl
def register_migrations() -> Migrations:
    """See ``pikaserver.hookspecs``."""
    return Migrations("scep", "pikaserver_scep.migrations", metadata)


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``scep challenge``, ``scep passphrase``, ``scep ndes`` and ``scep profile``."""
    return [scep]


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer SCEP, the page of NDES, and links to profiles; SCEP's messages are signed."""
    settings = server.settings(ScepSettings)
    resource = station(server).resource
    routes = [Route(path, resource) for path in _PATHS]
    own = Service(SERVICE, Security.PLAIN, routes, body_limit_octets=LIMIT_OCTETS)
    return [own, ndes_service(server, settings.challenges), profile_service(server)]


@hookimpl
def register_jobs(server: Server) -> list[Job]:
    """Forget old messages; tell Intune how requests ended, and carry out its orders to revoke."""
    forget = Job("scep-forget", _DAILY, station(server).transactions.forget_old)
    return [forget, *challenges(server, server.settings(ScepSettings).challenges).jobs]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show how strongSwan enrols."""
    return [ServiceUrl(SERVICE, "SCEP, with strongSwan", "/scep", _STRONGSWAN)]


@hookimpl
def register_metrics(server: Server) -> list[Metric]:
    """Count answers."""
    answers = station(server).resource.answers

    def read() -> list[Sample]:
        return [
            Sample(
                float(count),
                (("template", template), ("operation", operation), ("outcome", outcome)),
            )
            for (template, operation, outcome), count in list(answers.items())
        ]

    return [Metric("pikaserver_scep_answers_total", "SCEP answers.", "counter", read)]
