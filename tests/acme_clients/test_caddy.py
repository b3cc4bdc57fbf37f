"""Caddy: a web server that gets its certificates by itself, by TLS, HTTP and external account."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import time

import pytest

from pikaserver.testing.servers import free_port
from tests.acme_clients.place import client

SECONDS = 120


@contextlib.contextmanager
def caddy(place, name, policy, ports, **issuer):
    """Run Caddy for one name; it asks a policy."""
    program = client("caddy")
    http_port, https_port = ports
    folder = place.folder / f"caddy-{name}-{policy}"
    folder.mkdir()
    asked = {
        "module": "acme",
        "ca": place.directory(policy),
        "email": "me@example.com",
        "trusted_roots_pem_files": [str(place.root)],
        **issuer,
    }
    config = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(folder)},
        "apps": {
            "http": {
                "http_port": http_port,
                "https_port": https_port,
                "servers": {
                    "all": {
                        "listen": [f"127.0.0.1:{https_port}"],
                        "routes": [{"match": [{"host": [name]}]}],
                    }
                },
            },
            "tls": {"automation": {"policies": [{"subjects": [name], "issuers": [asked]}]}},
        },
    }
    path = folder / "caddy.json"
    path.write_text(json.dumps(config))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [program, "run", "--config", path],
        stdout=log,
        stderr=log,
        env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
    )
    try:
        yield folder / "log"
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def handshake(place, name, port, log):
    """Return the names of the certificate that a client that trusts our root is shown."""
    context = ssl.create_default_context(cafile=str(place.root))
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=20) as line,
                context.wrap_socket(line, server_hostname=name) as tls,
            ):
                return [value for _, value in tls.getpeercert()["subjectAltName"]]
        except OSError:
            if time.monotonic() > deadline:
                pytest.fail(log.read_text()[-4000:])
            time.sleep(0.1)


@pytest.mark.parametrize("kind", ["http", "tls-alpn"])
def test_caddy_proves_its_name_and_serves(place, kind):
    """By one challenge only: the other one is switched off."""
    name = {"http": "www.example.com", "tls-alpn": "mail.example.com"}[kind]
    other = {"http": "tls-alpn", "tls-alpn": "http"}[kind]
    ports = place.http_port, place.tls_port

    with caddy(place, name, "open", ports, challenges={other: {"disabled": True}}) as log:
        assert [name] == handshake(place, name, place.tls_port, log)


def test_caddy_brings_an_external_account(place):
    """EAB by its configuration, under a policy that asks for no proof."""
    kid, hmac = place.eab()
    ports = free_port(), free_port()
    bound = {"key_id": kid, "mac_key": hmac}

    with caddy(place, "caddy.example.com", "bound", ports, external_account=bound) as log:
        assert ["caddy.example.com"] == handshake(place, "caddy.example.com", ports[1], log)
