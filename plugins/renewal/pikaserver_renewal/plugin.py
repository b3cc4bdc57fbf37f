"""Renewal windows over REST: hooks."""

from pikaserver.api.hooks import hookimpl
from pikaserver.api.server import Server
from pikaserver.api.web import Route, Security, Service, ServiceUrl
from pikaserver_renewal.resources import OwnWindow, Window

SERVICE = "renewal"
PATH = "/renewal"

_CURL = (
    ("of a certificate", "curl -fsS --cacert root.pem {url}/SHA256-FINGERPRINT"),
    ("of one's own", "curl -fsS --cacert root.pem --cert cert.pem --key key.pem {url}"),
)


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the routes; what tells a client to act now must not be written by anybody."""
    routes = [
        Route(PATH, OwnWindow(server)),
        Route(f"{PATH}/{{identifier}}", Window(server)),
    ]
    return [Service(SERVICE, Security.TLS, routes)]


@hookimpl
def register_service_urls() -> list[ServiceUrl]:
    """Show how to ask."""
    return [ServiceUrl(SERVICE, "when to renew", PATH, _CURL)]
