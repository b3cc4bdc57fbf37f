"""EST (RFC 7030 with RFC 8951): its hooks and settings."""

from pydantic import BaseModel, ConfigDict, Field

from pikaserver.api.hooks import hookimpl
from pikaserver.api.server import Server
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_est.messages import BODY_LIMIT_OCTETS
from pikaserver_est.resources import (
    CaCertificates,
    CsrAttributes,
    ErrorAnswer,
    SimpleEnroll,
    SimpleReenroll,
)

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


class EstSettings(BaseModel):
    """``[plugins.est]``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )

    default_template: str = Field(default="device", min_length=1, max_length=100)
    """The template of the paths without a label."""
    realm: str = Field(default="pikaserver", pattern=r"^[ !#-\[\]-~]{1,100}$")
    """What clients show to people when they ask for user and code."""


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return EstSettings


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
    }
    routes = [
        Route(f"{base}/{operation}", resource)
        for base in (PATH, f"{PATH}/{{label}}")
        for operation, resource in resources.items()
    ]
    return [Service(SERVICE, Security.TLS, routes, ErrorAnswer(settings.realm), BODY_LIMIT_OCTETS)]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show how curl and strongSwan enrol."""
    return [
        ServiceUrl(SERVICE, "EST, with curl and openssl", PATH, _CURL),
        # strongSwan appends the well-known path itself.
        ServiceUrl(SERVICE, "EST, with strongSwan", "", _STRONGSWAN),
    ]
