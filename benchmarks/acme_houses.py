"""The two servers that the ACME benchmark asks: ours, and pebble; neither asks for proofs."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import ServerProcess, free_port
from pikaserver_acme.office import office
from pikaserver_acme.policies.rules import read_rules

PATIENCE_SECONDS = 10
NO_LIMITS = {
    "accounts-per-address-per-hour": 0,
    "orders-per-account-per-hour": 0,
    "certificates-per-names-per-day": 0,
    "pending-authorizations": 0,
}


@dataclass
class Target:
    """Where orders go: a directory, and the process behind it."""

    directory: str
    pid: int


@contextmanager
def ours(folder: Path) -> Iterator[Target]:
    """Give our server with a policy that asks for no proof."""
    data = folder / "ours"
    server = ServerProcess(data, free_port(), free_port(), set_up=True)
    binds = [f"127.0.0.1:{port}" for port in (server.http_port, server.https_port)]
    set_up(FirstStart(data, *binds, hostname="localhost"), {})
    rules = read_rules({"template": "web", "pre-approved": ["*"], "limits": NO_LIMITS})
    with open_server(load({}, data=data), {}) as opened:
        office(opened.for_plugins).policies.put("pre", rules, "benchmark")
    server.start()
    try:
        pid = server.process.pid if server.process else 0
        yield Target(f"https://localhost:{server.https_port}/acme/pre/directory", pid)
    finally:
        server.stop()


@contextmanager
def pebble(folder: Path) -> Iterator[Target]:
    """Give pebble with its validation, its pauses and its refusals of nonces switched off."""
    program = require_program("pebble", package="pebble")
    port = free_port()
    certificate, key = _certificate(folder)
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{free_port()}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    path = folder / "pebble.json"
    path.write_text(json.dumps({"pebble": config}))
    switches = {
        "PEBBLE_VA_ALWAYS_VALID": "1",
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": "0",
        "PEBBLE_AUTHZREUSE": "100",
    }
    with (folder / "pebble.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-config", path], stdout=log, stderr=log, env={**os.environ, **switches}
        )
    try:
        _wait(port)
        yield Target(f"https://localhost:{port}/dir", process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("pebble does not answer")


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "pebble.pem", folder / "pebble.key"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
