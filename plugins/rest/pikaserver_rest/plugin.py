"""REST: its hooks."""

from datetime import timedelta

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import Job
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_rest import storage
from pikaserver_rest.enrolling import Certificates, Renewal
from pikaserver_rest.openapi import Description
from pikaserver_rest.problems import ProblemPage, answer_error
from pikaserver_rest.records import ROOT
from pikaserver_rest.resources import (
    Authorities,
    Authority,
    Certificate,
    Templates,
    WaitingRequest,
)
from pikaserver_rest.revoking import RevocationOfOwn
from pikaserver_rest.wishes import BODY_LIMIT_OCTETS

SERVICE = "rest"

_CODE = "curl -fsS --cacert root.pem -u USER:CODE"
_CERTIFICATE = "curl -fsS --cacert root.pem --cert cert.pem --key key.pem"
_BARE = "-H 'Content-Type: application/pkcs10' --data-binary @request.pem"
_REQUEST = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem"
    " -subj /CN=device-1 -out request.pem"
)
_CURL = (
    (
        "make a key and a request",
        _REQUEST,
    ),
    (
        "ask with a code",
        f"{_CODE} {_BARE} '{{url}}/certificates?template=device&format=pem' -o cert.pem",
    ),
    (
        "renew with the certificate",
        f"{_CERTIFICATE} {_BARE} '{{url}}/certificates/SERIAL/renewal?format=pem' -o renewed.pem",
    ),
    ("what there is", "curl -fsS --cacert root.pem {url}/openapi.json"),
)


@hookimpl
def register_migrations() -> Migrations:
    """See ``pikaserver.hookspecs``."""
    return Migrations("rest", "pikaserver_rest.migrations", storage.metadata)


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the routes; whatever else is asked below the root gets a problem of ours, too."""
    certificate = f"{ROOT}/certificates/{{identifier}}"
    routes = [
        Route(f"{ROOT}/certificates", Certificates(server)),
        Route(certificate, Certificate(server)),
        Route(f"{certificate}/renewal", Renewal(server)),
        Route(f"{certificate}/revocation", RevocationOfOwn(server)),
        Route(f"{ROOT}/requests/{{request_id:int(min=1, max=2147483647)}}", WaitingRequest(server)),
        Route(f"{ROOT}/templates", Templates(server)),
        Route(f"{ROOT}/authorities", Authorities(server)),
        Route(f"{ROOT}/authorities/{{name}}", Authority(server)),
        Route(f"{ROOT}/problems/{{name}}", ProblemPage()),
        Route(f"{ROOT}/openapi.json", Description()),
    ]
    return [
        Service(
            SERVICE,
            Security.TLS,
            routes,
            answer_error,
            BODY_LIMIT_OCTETS,
            base_path=ROOT,
        )
    ]


@hookimpl
def register_jobs(server: Server) -> list[Job]:
    """Forget idempotency keys after a day."""

    def sweep() -> None:
        with server.database.transaction() as connection:
            storage.forget_old_keys(connection, server.clock())

    return [Job("rest-keys", timedelta(hours=1), sweep)]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show how curl asks."""
    return [ServiceUrl(SERVICE, "REST, with curl and openssl", ROOT, _CURL)]
