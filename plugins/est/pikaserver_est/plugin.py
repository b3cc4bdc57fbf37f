"""EST (RFC 7030 with RFC 8951): its hooks."""

from datetime import timedelta

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import Job
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_est import storage
from pikaserver_est.answers import ErrorAnswer
from pikaserver_est.commands import est
from pikaserver_est.enrolling import SimpleEnroll, SimpleReenroll
from pikaserver_est.full_cmc import FullCmc
from pikaserver_est.messages import BODY_LIMIT_OCTETS
from pikaserver_est.resources import CaCertificates, CsrAttributes, RenewalInfo
from pikaserver_est.revoking import SimpleRevoke
from pikaserver_est.server_keys import ServerKeyGen
from pikaserver_est.settings import EstSettings

SERVICE = "est"
PATH = "/.well-known/est"

_READ = "openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs"
_SEND = "-H 'Content-Type: application/pkcs10' --data-binary @-"
_ENROLL = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem"
    " -subj /CN=device-1 -outform DER | openssl base64 -A"
    f" | curl -fsS --cacert root.pem -u USER:CODE {_SEND} {{url}}/simpleenroll"
    f" | {_READ} -out cert.pem"
)
_RENEW = (
    "openssl req -new -key key.pem -subj /CN=device-1 -outform DER | openssl base64 -A"
    f" | curl -fsS --cacert root.pem --cert cert.pem --key key.pem {_SEND} {{url}}/simplereenroll"
    f" | {_READ} -out renewed.pem"
)
_CURL = (
    ("CA certificates", f"curl -fsS --cacert root.pem {{url}}/cacerts | {_READ} -out ca.pem"),
    ("enrol with a code", _ENROLL),
    ("renew with the certificate", _RENEW),
)
_PKI = "pki --est --url {url} --cacert root.pem --in request.der"
_STRONGSWAN = (
    ("CA certificates", "pki --estca --url {url} --cacert root.pem --caout ca.pem"),
    ("make a request", "pki --req --type ecdsa --in key.der --dn CN=device-1 > request.der"),
    ("enrol with a code", f"{_PKI} --userpass USER:CODE > cert.der"),
    ("renew with the certificate", f"{_PKI} --cert cert.der --key key.der > renewed.der"),
)


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return EstSettings


@hookimpl
def register_migrations() -> Migrations:
    """See ``pikaserver.hookspecs``."""
    return Migrations("est", "pikaserver_est.migrations", storage.metadata)


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``est key``."""
    return [est]


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer EST; RFC 7030 section 3.3 wants TLS."""
    settings = server.settings(EstSettings)
    template = settings.default_template
    resources = {
        "cacerts": CaCertificates(server, template),
        "csrattrs": CsrAttributes(server, template),
        "simpleenroll": SimpleEnroll(server, template),
        "simplereenroll": SimpleReenroll(server),
        "serverkeygen": ServerKeyGen(server, template),
        "fullcmc": FullCmc(server, template),
        "simplerevoke": SimpleRevoke(server),
        "renewal": RenewalInfo(server),
    }
    routes = [
        Route(f"{prefix}{base}/{operation}", resource)
        for prefix in ("", *settings.path_prefixes)
        for base in (PATH, f"{PATH}/{{label}}")
        for operation, resource in resources.items()
    ]
    return [Service(SERVICE, Security.TLS, routes, ErrorAnswer(settings.realm), BODY_LIMIT_OCTETS)]


@hookimpl
def register_jobs(server: Server) -> list[Job]:
    """Forget generated keys whose requests were never approved."""
    keep = timedelta(days=server.settings(EstSettings).keep_keys_days)

    def sweep() -> None:
        with server.database.transaction() as connection:
            storage.forget_older(connection, server.clock() - keep)

    return [Job("est-generated-keys", timedelta(hours=1), sweep)]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show how curl and strongSwan enrol."""
    return [
        ServiceUrl(SERVICE, "EST, with curl and openssl", PATH, _CURL),
        # strongSwan appends the well-known path itself.
        ServiceUrl(SERVICE, "EST, with strongSwan", "", _STRONGSWAN),
    ]
