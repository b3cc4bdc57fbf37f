"""Every hook of the host, typed and documented; called once, while the server starts.

A plugin implements the ones that it needs and takes only the arguments that it needs.
"""

from collections.abc import Iterable

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookspec
from pikaserver.api.issuance import ExtensionProvider, Lint, Validator
from pikaserver.api.key_inventories import KeyInventory
from pikaserver.api.operations import (
    AuditSink,
    HealthCheck,
    Job,
    Metric,
    Observer,
)
from pikaserver.api.publishing import Publisher
from pikaserver.api.server import Server
from pikaserver.api.signing import SignerBackend
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Authenticator, Listener, Service, ServiceUrl


@hookspec(firstresult=True)
def register_settings() -> type[BaseModel] | None:
    """Return the model of ``[plugins.<name>]``; unknown keys are refused with a suggestion."""


@hookspec
def register_commands() -> Iterable[click.Command]:
    """Return commands for ``pikaserver``; they run without a listening server."""


@hookspec(firstresult=True)
def register_migrations() -> Migrations | None:
    """Return the plugin's own branch of database revisions."""


@hookspec
def register_signer_backends(server: Server) -> Iterable[SignerBackend]:
    """Return places where keys live; one key-reference scheme given twice stops the start."""


@hookspec
def register_validators(server: Server) -> Iterable[Validator]:
    """Return policy on requests; all validators must agree."""


@hookspec
def register_extension_providers(server: Server) -> Iterable[ExtensionProvider]:
    """Return makers of extra extensions; two values for one OID stop the issuance."""


@hookspec
def register_lints(server: Server) -> Iterable[Lint]:
    """Return checks of the unsigned draft, each citing its section."""


@hookspec
def register_authenticators(server: Server) -> Iterable[Authenticator]:
    """Return recognisers of credentials; the first that knows the credential decides."""


@hookspec
def register_services(server: Server) -> Iterable[Service]:
    """Return doors with their routes; a path or a service name given twice stops the start."""


@hookspec
def register_listeners(server: Server) -> Iterable[Listener]:
    """Return sockets that do not speak HTTP."""


@hookspec
def register_service_urls(server: Server) -> Iterable[ServiceUrl]:
    """Return what the list of service URLs shows, with ready client commands."""


@hookspec
def register_publishers(server: Server) -> Iterable[Publisher]:
    """Return ways to push fresh CRLs, and more, to where relying parties look."""


@hookspec
def register_observers(server: Server) -> Iterable[Observer]:
    """Return those who are told after the deed; their errors are logged, never returned."""


@hookspec
def register_audit_sinks(server: Server) -> Iterable[AuditSink]:
    """Return further copies of the audit trail."""


@hookspec
def register_jobs(server: Server) -> Iterable[Job]:
    """Return periodic work; a lease lets one node run each job at a time."""


@hookspec
def register_health_checks(server: Server) -> Iterable[HealthCheck]:
    """Return parts of ``/readyz``."""


@hookspec
def register_metrics(server: Server) -> Iterable[Metric]:
    """Return metrics of ``/metrics``."""


@hookspec
def register_key_inventories(server: Server) -> Iterable[KeyInventory]:
    """Return what a plugin has keys of its own for, so that reports know of them."""


@hookspec
def startup(server: Server) -> None:
    """Do what must be done once, after registration and before listeners open."""


@hookspec
def shutdown(server: Server) -> None:
    """Undo it, after the last listener closed."""
