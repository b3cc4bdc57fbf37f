"""Two processes of the server on one PostgreSQL, and a command beside them."""

import shutil
import threading
from urllib.request import Request, urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from pikaserver.testing.servers import ServerProcess, free_port


class Cluster:
    """Two nodes of one server, and who asks them."""

    def __init__(self, folder, url, environment):
        self.folder = folder
        self.nodes = []
        for number in ("1", "2"):
            data = folder / f"node-{number}"
            if self.nodes:
                shutil.copytree(self.nodes[0].data, data)
            environment.setenv("PIKASERVER__DATABASE__URL", url)
            environment.setenv("PIKASERVER__SERVER__NODE", number)
            node = ServerProcess(data, free_port(), free_port())
            self.nodes.append(node)
            node.start()
        self.issuer = x509.load_pem_x509_certificate(self.nodes[0].get("/ca/issuing.pem"))

    def stop(self):
        """End both."""
        return [node.stop() for node in self.nodes]

    def issue(self, name):
        """Have a certificate issued by a command."""
        path = self.folder / f"{name}.pem"
        self.nodes[0].command(
            "cert", "issue", "--template", "web", "--dns", f"{name}.example",
            "--key-type", "ec-p256", "--key-out", str(self.folder / f"{name}.key"),
            "--out", str(path),
        )  # fmt: skip
        return x509.load_pem_x509_certificate(path.read_bytes())

    def revoke(self, certificate):
        """Revoke by a command beside the first node."""
        serial = f"{certificate.serial_number:x}"
        self.nodes[0].command("cert", "revoke", serial, "--reason", "superseded", "--yes")

    def status(self, node, certificate):
        """Ask a node and return the status."""
        builder = ocsp.OCSPRequestBuilder()
        builder = builder.add_certificate(certificate, self.issuer, hashes.SHA256())
        asked = Request(
            f"http://127.0.0.1:{node.http_port}/ocsp",
            builder.build().public_bytes(serialization.Encoding.DER),
            {"Content-Type": "application/ocsp-request"},
        )
        with urlopen(asked, timeout=60) as answer:  # noqa: S310 - the scheme is HTTP
            octets = answer.read()
        return ocsp.load_der_ocsp_response(octets).certificate_status.name.lower()


@pytest.fixture
def cluster(postgres, tmp_path, monkeypatch):
    """Start two processes on a new database."""
    made = Cluster(tmp_path, postgres.url(postgres.create_database()), monkeypatch)
    try:
        yield made
    finally:
        made.stop()


def test_a_revocation_shows_at_once_on_every_node(cluster):
    """While both are asked all the time, so that answers are at hand."""
    certificate = cluster.issue("www")
    stop, strange = threading.Event(), []

    def load(node):
        while not stop.is_set():
            if cluster.status(node, certificate) not in ("good", "revoked"):
                strange.append(node)

    threads = [threading.Thread(target=load, args=(node,)) for node in cluster.nodes]
    for thread in threads:
        thread.start()
    try:
        before = [cluster.status(node, certificate) for node in cluster.nodes]
        cluster.revoke(certificate)
        after = [cluster.status(node, certificate) for node in cluster.nodes]
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert (["good", "good"], ["revoked", "revoked"]) == (before, after)
    assert not strange
    assert [0, 0] == cluster.stop()
