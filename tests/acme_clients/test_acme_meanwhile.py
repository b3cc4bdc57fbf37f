"""Validations as clients and operators see them: what was tried, and what happens meanwhile."""

import http.client
import json
import threading
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from pikaserver_acme.validation.settings import ValidationSettings
from tests.acme.desk import dns_names
from tests.acme_validation.raw_server import RawServer
from tests.acme_whole.lines import Line, OverTheLine

WORKERS = ValidationSettings().workers
NAMES = [f"n{number}.hanging.example.com" for number in range(WORKERS + 8)]
PATIENCE_SECONDS = 60


class Mute:
    """Takes connections and says nothing until the end; ``full``: all threads hang in it."""

    def __init__(self):
        self.full, self.ending = threading.Event(), threading.Event()
        self._waiting = threading.Semaphore(WORKERS - 1)
        self.server = RawServer(self._say)

    def _say(self, _line, _head):
        if not self._waiting.acquire(blocking=False):
            self.full.set()
        self.ending.wait(PATIENCE_SECONDS)

    def close(self):
        self.ending.set()
        self.server.close()


@pytest.fixture
def mute():
    made = Mute()
    yield made
    made.close()


@pytest.fixture
def client(place):
    """Return a function that gives a client with an account under a policy."""
    line = Line(place.server.https_port)

    def make(policy):
        made = OverTheLine(None, line, policy)
        made.origin = f"https://localhost:{place.server.https_port}"
        made.register()
        return made

    yield make
    line.close()


def test_hanging_validations_hold_up_nobody_else(place, client, mute):
    """OCSP answers and other orders are finished while every thread of validation waits."""
    for name in NAMES:
        place.dns.add(name, "A", "127.0.0.1")
    place.server.command(
        "acme", "policy", "create", "hanging", "--template", "web", "--allow", "*.example.com",
        "--http-port", str(mute.server.port), "--dns", place.dns.address,
    )  # fmt: skip
    hanging = client("hanging")
    order = hanging.post("new-order", {"identifiers": dns_names(*NAMES)})
    for number in range(len(NAMES)):
        hanging.post(hanging.challenge(order, "http-01", number)["url"], {})
    assert mute.full.wait(PATIENCE_SECONDS)

    pem = client("pre").certificate("meanwhile.example.com")
    answer = ocsp_answer(place, *x509.load_pem_x509_certificates(pem.encode()))

    states = {hanging.post(url).json["status"] for url in order.json["authorizations"]}
    assert ocsp.OCSPCertStatus.GOOD == answer.certificate_status
    assert {"pending"} == states


def test_client_and_operator_read_each_attempt_once(place, client):
    """One that succeeded at once, line by line; the same on both sides."""
    ours = client("files")
    order = ours.post("new-order", {"identifiers": dns_names("www.example.com")})
    challenge = ours.challenge(order, "http-01")
    path = place.web_root / ".well-known" / "acme-challenge" / challenge["token"]
    path.write_text(f"{challenge['token']}.{ours.key.thumbprint()}")
    port = office_port(place)

    ours.post(challenge["url"], {})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (seen := ours.post(challenge["url"]).json)["status"] == "processing":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    url = f"http://www.example.com:{port}/.well-known/acme-challenge/{challenge['token']}"
    lines = [
        "resolved www.example.com to 127.0.0.1",
        f"connected to 127.0.0.1 port {port}",
        f"got 200 at {url}",
        "succeeded",
    ]
    assert [(1, line) for line in lines] == [
        (one["number"], one["line"]) for one in seen["attempts"]
    ]
    number = order.headers["location"].rpartition("/")[2]
    shown = json.loads(place.server.command("acme", "order", "show", number, "-o", "json"))
    (proof,) = shown["authorizations"]
    assert lines == [one.split(" ", 3)[3] for one in proof["attempts"]]


def office_port(place):
    """Return where the policy ``files`` looks."""
    shown = place.server.command("acme", "policy", "show", "files", "-o", "json")
    return json.loads(shown)["http_port"]


def ocsp_answer(place, leaf, issuer):
    """Ask the responder that the certificate names."""
    access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    url = next(
        one.access_location.value
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
    )
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
    line = http.client.HTTPConnection("127.0.0.1", place.server.http_port, timeout=PATIENCE_SECONDS)
    with closing(line):
        kind = {"Content-Type": "application/ocsp-request"}
        line.request("POST", urlsplit(url).path, asked.public_bytes(Encoding.DER), kind)
        return ocsp.load_der_ocsp_response(line.getresponse().read())
