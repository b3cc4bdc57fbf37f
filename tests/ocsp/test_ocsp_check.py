"""``pikaserver ocsp check``: whom it asks, what it says, and its exit codes."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest, Unavailable
from pikaserver.asn1 import der
from pikaserver.asn1.ocsp import LIMIT_OCTETS, ResponseStatus
from pikaserver.asn1.ocsp_requests import read_request
from pikaserver.asn1.ocsp_writing import (
    GOOD,
    UNKNOWN,
    error_response,
    revoked,
)
from pikaserver.cli.main import run
from pikaserver.clock import system_clock
from pikaserver.testing.servers import make_server
from pikaserver.testing.throw_away import distinguished_name
from pikaserver_ocsp.asking import ask
from tests.ocsp.answering import DAY, Ca


class Responder(BaseHTTPRequestHandler):
    """Answers by a function of the request."""

    def do_POST(self):
        """Answer."""
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Content-Type"], octets))
        body = self.server.answer(octets)
        self.send_response(200 if body is not None else 500)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture
def responder():
    """Give a responder of another maker."""
    server = HTTPServer(("127.0.0.1", 0), Responder)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_address[1]}/status"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Give the folder of a server, which is needed for the command to be there."""
    folder = tmp_path_factory.mktemp("ocsp") / "data"
    with make_server(folder):
        return folder


@pytest.fixture
def check(data, capsys):
    """Run the command; return exit code, record, and what it complained about."""

    def run_it(*words):
        capsys.readouterr()  # what other commands wrote
        code = run(["ocsp", "check", *map(str, words), "-o", "json", "--data", str(data)])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    return run_it


@pytest.fixture
def scene(tmp_path, responder):
    """Give a certificate of somebody else that names a responder, and files of it."""
    ca = Ca(system_clock().replace(microsecond=0))
    point = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder.url)
    )
    leaf = ca.authority.certify(
        ca.authority.public_key,
        distinguished_name("leaf"),
        ca.now - DAY,
        ca.now + DAY,
        extensions=[(x509.AuthorityInformationAccess([point]), False)],
    )
    ca.leaf, ca.issuer, ca.both = (tmp_path / name for name in ("leaf.pem", "ca.der", "both.pem"))
    ca.leaf.write_bytes(der.write_pem("CERTIFICATE", leaf))
    ca.issuer.write_bytes(ca.authority.certificate)
    ca.both.write_bytes(
        ca.leaf.read_bytes() + der.write_pem("CERTIFICATE", ca.authority.certificate)
    )
    ca.serial = x509.load_der_x509_certificate(leaf).serial_number

    def answer(octets, status=GOOD, **more):
        request = read_request(octets)
        question = ca.question(ca.serial)
        assert request.cert_ids == (question.cert_ids()[0],)
        return ca.answer(question, status, nonce=request.nonce, **more)

    ca.reply = answer
    responder.answer = answer
    return ca


def test_it_asks_where_the_certificate_says(check, scene, responder):
    """With a nonce of 32 octets, and tells what it heard."""
    code, record, _ = check(scene.leaf, "--issuer", scene.issuer)

    assert (0, "good", "echoed") == (code, record["status"], record["nonce"])
    assert "CN=leaf" == record["certificate"]
    assert "CN=ca" == record["responder"]
    assert (responder.url, False) == (record["url"], record["no_check"])
    (path, content_type, octets) = responder.asked[0]
    assert ("/status", "application/ocsp-request") == (path, content_type)
    assert 32 == len(read_request(octets).nonce)


def test_the_issuer_may_follow_in_the_same_file(check, scene, responder):
    """As in the chain that servers are given."""
    code, record, _ = check(scene.both, "--no-nonce")

    assert (0, "not sent") == (code, record["nonce"])
    assert read_request(responder.asked[0][2]).nonce is None


def test_revoked_and_unknown_have_codes_of_their_own(check, scene, responder):
    """1 and 3; the record says since when and why."""
    since = scene.now - DAY
    status = revoked(Revocation(since, RevocationReason.SUPERSEDED))
    responder.answer = lambda octets: scene.reply(octets, status)
    code, record, _ = check(scene.both)
    assert (1, "revoked", "superseded") == (code, record["status"], record["reason"])
    assert f"{since:%Y-%m-%dT%H:%M:%SZ}" == record["revoked_at"]

    responder.answer = lambda octets: scene.reply(octets, UNKNOWN)
    assert 3 == check(scene.both)[0]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (ResponseStatus.UNAUTHORIZED, 3),
        (ResponseStatus.TRY_LATER, 4),
        (ResponseStatus.INTERNAL_ERROR, 4),
        (ResponseStatus.MALFORMED_REQUEST, 4),
        (ResponseStatus.SIG_REQUIRED, 4),
    ],
)
def test_errors_of_ocsp_are_told(check, scene, responder, status, code):
    """By name, and by what a script can do about it."""
    responder.answer = lambda _: error_response(status)

    found = check(scene.both)

    assert (code, status.rfc_name) == (found[0], found[1]["status"])


def test_what_does_not_hold_ends_with_6(check, scene, responder):
    """No answer of such a kind is shown as if it were one."""
    for answer in (
        lambda octets: scene.reply(
            octets, next_update=scene.now - DAY, this_update=scene.now - 2 * DAY
        ),
        lambda _: scene.answer(scene.question(scene.serial), nonce=b"another"),
        lambda _: b"garbage",
    ):
        responder.answer = answer
        code, record, told = check(scene.both)
        assert (6, None) == (code, record)
        assert "the answer does not hold" in told


def test_nobody_there_ends_with_4(check, scene, responder):
    """As does an error of HTTP."""
    responder.answer = lambda _: None
    assert 4 == check(scene.both)[0]

    code, _, told = check(scene.both, "--url", "http://127.0.0.1:1/")

    assert 4 == code
    assert "no answer from http://127.0.0.1:1/" in told


def test_what_is_missing_is_said(check, scene, tmp_path):
    """In one sentence, with the option that would help."""
    bare = tmp_path / "bare.der"
    bare.write_bytes(scene.authority.certificate)

    assert "--issuer FILE" in check(scene.leaf)[2]
    assert "--url URL" in check(bare, "--issuer", scene.issuer)[2]
    assert "neither a file nor a serial" in check("no-such-file")[2]
    assert "0 certificates of ours" in check("ABCDEF")[2]
    assert "URL of HTTP" in check(scene.both, "--url", "ftp://x/")[2]
    (tmp_path / "text").write_text("hello")
    assert 1 == check(tmp_path / "text")[0]


def test_an_endless_answer_is_cut_off(responder):
    """Nobody fills our memory."""
    responder.answer = lambda _: bytes(LIMIT_OCTETS + 1)

    with pytest.raises(MalformedRequest, match="more than"):
        ask(responder.url, b"")
    responder.answer = lambda _: None
    with pytest.raises(Unavailable):
        ask(responder.url, b"")


def test_certificates_of_ours_need_no_file(check, data, responder):
    """The serial is enough; issuer and responder are known."""
    words = ["cert", "issue", "--template", "web", "--dns", "a.example", "--key-out"]
    files = [str(data / "a.key"), "--out", str(data / "a.pem"), "--data", str(data)]
    assert 0 == run([*words, *files])
    certificate = x509.load_pem_x509_certificate((data / "a.pem").read_bytes())
    responder.answer = lambda _: error_response(ResponseStatus.TRY_LATER)

    code, record, _ = check(f"{certificate.serial_number:x}", "--url", responder.url)

    assert (4, "CN=a.example") == (code, record["certificate"])
    assert [certificate.serial_number] == [
        one.serial for one in read_request(responder.asked[0][2]).cert_ids
    ]
