"""A whole server that speaks SCEP, once in each process."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import make_server as make_http_server

import pytest

from pikaserver.api.web import CONNECTION_KEY, ClientConnection
from pikaserver.clock import system_clock, system_entropy
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import make_server
from pikaserver.web.application import build_application
from pikaserver_scep.plugin import register_services

ENVIRONMENT = {
    "PIKASERVER__PLUGINS__ENABLED": '["crl", "est", "scep"]',
    "PIKASERVER__SERVER__BASE_URLS__PROFILES": "https://pki.example.test",
    "PIKASERVER__PLUGINS__SCEP__PROFILES__ORGANIZATION": "Example Ltd",
    "PIKASERVER__PLUGINS__SCEP__PROFILES__IDENTIFIER": "test.example.pki",
}


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def listening(application):
    """Serve an application on the loopback; yield its base URL."""

    def known(environ, start_response):
        environ[CONNECTION_KEY] = ClientConnection("plain", environ["REMOTE_ADDR"], None)
        return application(environ, start_response)

    http = make_http_server("127.0.0.1", 0, known, handler_class=_Quiet)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture(scope="module")
def pki_server(tmp_path_factory):
    """Give the server, a client of its services, and where SCEP is."""
    environment = dict(ENVIRONMENT)
    folder = tmp_path_factory.mktemp("apple") / "data"
    clock = FrozenClock(system_clock().replace(microsecond=0))
    box = SimpleNamespace()

    def application(environ, start_response):
        return box.application(environ, start_response)

    with listening(application) as url:
        environment["PIKASERVER__SERVER__BASE_URLS__SCEP"] = url
        with make_server(folder, clock=clock, environment=environment) as server:
            document = server.templates.document("device")
            document = document.replace(
                "enabled = false               # true: devices", "enabled = true # devices"
            )
            server.templates.save("device", document, "test")
            services = register_services(server.for_plugins)
            box.application = build_application(services, entropy=system_entropy)
            yield SimpleNamespace(
                whole=server,
                plugin=server.for_plugins,
                client=ServiceClient(*services),
                clock=clock,
            )


@pytest.fixture(scope="session")
def openssl():
    return require_program("openssl", package="openssl")


@pytest.fixture(scope="session")
def pki():
    return require_program("pki", package="strongswan-pki")
