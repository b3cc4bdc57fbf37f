"""ACME (RFC 8555): hooks."""

from datetime import timedelta

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import HealthCheck, Job, Metric
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_acme.commands.group import acme
from pikaserver_acme.forgetting import Forgetting
from pikaserver_acme.jose.jws import LIMIT_OCTETS
from pikaserver_acme.office import office
from pikaserver_acme.places import BASE
from pikaserver_acme.resources.accounts import KeyChange, NewAccount, OneAccount, Orders
from pikaserver_acme.resources.directory import Directory, NewNonce, RenewalInfo
from pikaserver_acme.resources.door import SERVICE
from pikaserver_acme.resources.orders import Certificate, Finalize, NewOrder, OneOrder
from pikaserver_acme.resources.proofs import NewAuthorization, OneAuthorization, OneChallenge
from pikaserver_acme.resources.revocations import RevokeCertificate
from pikaserver_acme.resources.star import StarCertificate
from pikaserver_acme.settings import AcmeSettings
from pikaserver_acme.starting import FIRST_POLICY, make_first_policy
from pikaserver_acme.storage.tables import metadata
from pikaserver_acme.telling import CLIENTS

_MOST = 2**63 - 1
_NUMBER = f"{{number:int(min=0, max={_MOST})}}"
_CHAIN = f"{{chain:int(min=0, max={_MOST})}}"


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return AcmeSettings


@hookimpl
def register_migrations() -> Migrations:
    """See ``pikaserver.hookspecs``."""
    return Migrations("acme", "pikaserver_acme.migrations", metadata)


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``acme policy``, ``acme eab``, ``acme account`` and ``acme order``."""
    return [acme]


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the directories; RFC 8555 section 6.1 wants TLS."""
    here = office(server)
    resources: dict[str, object] = {
        "directory": Directory(here),
        "new-nonce": NewNonce(here),
        "new-account": NewAccount(here),
        "new-order": NewOrder(here),
        "new-authz": NewAuthorization(here),
        "revoke-cert": RevokeCertificate(here),
        "key-change": KeyChange(here),
        "renewal-info/{identifier}": RenewalInfo(here),
        f"account/{_NUMBER}": OneAccount(here),
        f"account/{_NUMBER}/orders": Orders(here),
        f"order/{_NUMBER}": OneOrder(here),
        f"order/{_NUMBER}/finalize": Finalize(here),
        f"authorization/{_NUMBER}": OneAuthorization(here),
        f"challenge/{_NUMBER}": OneChallenge(here),
        f"certificate/{_NUMBER}": Certificate(here),
        f"certificate/{_NUMBER}/{_CHAIN}": Certificate(here),
        "star/{token}": StarCertificate(here),
    }
    routes = [Route(f"{BASE}/{{policy}}/{path}", resource) for path, resource in resources.items()]
    return [
        Service(
            SERVICE,
            Security.TLS,
            routes,
            here.door.answer_error,
            LIMIT_OCTETS,
            base_path=BASE,
        )
    ]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show how clients are told of the first directory."""
    path = f"{BASE}/{FIRST_POLICY}/directory"
    return [ServiceUrl(SERVICE, "ACME, for web servers", path, CLIENTS)]


@hookimpl
def register_jobs(server: Server) -> list[Job]:
    """Go on with what was held up, let certificates follow, forget what is over."""
    here, settings = office(server), server.settings(AcmeSettings)
    every = timedelta(seconds=settings.resume_every)
    kept = timedelta(days=settings.keep_orders_days)
    forgetting = Forgetting(server.database, server.clock, kept)
    return [
        Job("acme-resume", every, here.finalizing.resume_all),
        Job("acme-star", timedelta(seconds=30), here.successors.issue_due),
        Job("acme-nonces", timedelta(minutes=10), here.nonces.sweep),
        Job("acme-forget", timedelta(minutes=10), forgetting.run),
    ]


@hookimpl
def register_health_checks(server: Server) -> list[HealthCheck]:
    """Tell how much is being validated."""
    return office(server).validators.health_checks()


@hookimpl
def register_metrics(server: Server) -> list[Metric]:
    """Count validations."""
    return office(server).validators.metrics()


@hookimpl
def startup(server: Server) -> None:
    """Make the first policy where it is not there, and begin to validate."""
    make_first_policy(office(server))
    office(server).validators.start()


@hookimpl
def shutdown(server: Server) -> None:
    """End validation; what is not done goes on after the next start."""
    office(server).validators.stop()
