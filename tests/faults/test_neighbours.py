"""Other processes beside a running server: a second server, and the command line."""

import json
import socket

import pytest
from cryptography import x509

from pikaserver.testing.servers import ServerProcess, free_port, running_server
from tests.faults.load import Load


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("neighbours")) as started:
        yield started


def test_a_second_server_on_the_same_folder_is_refused(server):
    """One sentence says who runs there; the first one goes on."""
    second = ServerProcess(server.data, free_port(), free_port())

    with pytest.raises(RuntimeError) as refusal:
        second.start()

    assert 5 == second.process.returncode
    said = f"pikaserver: a server (process {server.process.pid}) runs on {server.data} already"
    assert said == str(refusal.value).splitlines()[-1]
    assert "Traceback" not in server.log()
    assert server.get("/livez")


def test_a_port_that_is_taken_is_told(tmp_path):
    """The sentence names the address, and nothing keeps running."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        server = ServerProcess(tmp_path / "data", taken, free_port())
        with pytest.raises(RuntimeError) as refusal:
            server.start()

    assert 5 == server.process.returncode
    assert (
        f"pikaserver: listeners.public cannot listen at 127.0.0.1 port {taken}:"
        " another program listens there already"
    ) == str(refusal.value).splitlines()[-1]


def test_a_revocation_beside_the_server_counts_at_once(server):
    """P4: at the next request on the same line, and on the CRL within seconds."""
    load = Load(server, server.code())
    assert 200 == load.enrol().status
    serial = x509.load_der_x509_certificate(load.certificates[0]).serial_number
    assert "valid" == status(server, serial)["status"]

    server.command("cert", "revoke", f"{serial:X}", "--reason", "certificate-hold", "--yes")
    assert ("revoked", "certificateHold") == tuple(
        status(server, serial)[key] for key in ("status", "reason")
    )
    server.wait_for_crl(serial)

    server.command("cert", "unhold", f"{serial:X}")
    assert "valid" == status(server, serial)["status"]


def status(server, serial):
    return json.loads(server.get(f"/status/{serial:X}"))
