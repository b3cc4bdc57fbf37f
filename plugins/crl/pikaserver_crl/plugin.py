"""CRLs, CA certificates and the short paths of scripts: hooks and settings."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import HealthCheck, Job, Metric
from pikaserver.api.server import Server
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_crl.freshness import Freshness
from pikaserver_crl.records import Expired, RequestDownload, Status
from pikaserver_crl.resources import AuthorityFile, ChainDownload, CrlDownload, CrlFile

SERVICE = "crl"


class CrlSettings(BaseModel):
    """``[plugins.crl]``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )

    default_authority: str | None = Field(default=None, min_length=1, max_length=100)
    """Whose chain and CRL ``/downloads`` gives; unset: ``issuing``, or the newest one."""
    chain_also: tuple[str, ...] = ()
    """Authorities whose chains follow in ``/downloads/chain``: what else a client must trust."""
    max_age: int = Field(default=60, ge=0, le=86_400)
    """Seconds that caches may keep a CRL: so much later at most a revocation is seen."""
    check_every: int = Field(default=5, ge=1, le=60)
    """Seconds between two looks for CRLs that are due."""
    expiry_days: int = Field(default=30, ge=0, le=366)
    """How many days back and ahead ``/expired`` looks."""


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return CrlSettings


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the files; all are signed or public, so plain HTTP is enough."""
    settings = server.settings(CrlSettings)
    name, max_age = settings.default_authority, settings.max_age
    routes = [
        Route("/crl/{name}", CrlFile(server, max_age)),
        Route("/ca/{name}", AuthorityFile(server)),
        Route("/downloads/chain", ChainDownload(server, name, settings.chain_also)),
        Route("/downloads/crl", CrlDownload(server, name, max_age)),
        Route("/status/{serial}", Status(server)),
        Route("/expired", Expired(server, settings.expiry_days)),
        Route(
            "/requests/{request_id:int(min=1, max=2147483647)}/download", RequestDownload(server)
        ),
    ]
    return [Service(SERVICE, Security.PLAIN, routes)]


@hookimpl
def register_service_urls(server: Server) -> list[ServiceUrl]:
    """Show where the files of each authority are."""
    lines = [
        ServiceUrl(
            SERVICE, "chain", "/downloads/chain", (("curl", "curl -fsS {url} -o chain.pem"),)
        ),
        ServiceUrl(
            SERVICE, "CRL in PEM", "/downloads/crl", (("curl", "curl -fsS {url} -o crl.pem"),)
        ),
        ServiceUrl(
            SERVICE, "status of a certificate", "/status/SERIAL", (("curl", "curl -s {url}"),)
        ),
    ]
    for name in server.authorities.names():
        check = "curl -fsS {url} | openssl crl -inform DER -noout -text"
        lines += [
            ServiceUrl(SERVICE, f"CRL of {name}", f"/crl/{name}.crl", (("curl", check),)),
            ServiceUrl(SERVICE, f"certificate of {name}", f"/ca/{name}.cer"),
        ]
    return lines


@hookimpl
def register_jobs(server: Server) -> list[Job]:
    """Sign the CRLs whose time has come, and at once after a revocation."""
    freshness = Freshness(server)

    def issue_due() -> None:
        server.crls.issue_due()
        freshness.warn()

    every = timedelta(seconds=server.settings(CrlSettings).check_every)
    return [Job("crl", every, issue_due)]


@hookimpl
def register_health_checks(server: Server) -> list[HealthCheck]:
    """Tell whether all CRLs are fresh."""
    return [HealthCheck("crl", Freshness(server).check)]


@hookimpl
def register_metrics(server: Server) -> list[Metric]:
    """Count the seconds until each CRL's next update."""
    return [
        Metric(
            "pikaserver_crl_next_update_seconds",
            "Seconds until a CRL's next update; below zero it is stale.",
            "gauge",
            Freshness(server).next_updates,
        )
    ]
