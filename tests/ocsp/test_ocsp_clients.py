"""Real clients before the real server: openssl, GnuTLS, curl, and stapling by nginx and HAProxy."""

import base64
import json
import re
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import ServerProcess, free_port, running_server

PATIENCE = 60
NGINX = """
user root; daemon off; pid {folder}/pid; error_log stderr info;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/www.pem;
    ssl_certificate_key {folder}/www.key;
    ssl_stapling on;
    ssl_stapling_verify on;
    ssl_trusted_certificate {folder}/chain.pem;
    ssl_stapling_responder {url};
    location / {{ return 204; }}
  }}
}}
"""
HAPROXY = """
global
  stats socket {folder}/stats mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend www
  bind 127.0.0.1:{port} ssl crt {folder}/both.pem
  http-request return status 204
"""


class House:
    """A running server, some certificates of it, and clients that ask about them."""

    def __init__(self, server: ServerProcess, folder: Path, openssl: str) -> None:
        self.server = server
        self.folder = folder
        self.openssl = openssl
        for name in ("root", "issuing"):
            (folder / f"{name}.pem").write_bytes(server.get(f"/ca/{name}.pem"))
        chain = [(folder / f"{name}.pem").read_bytes() for name in ("issuing", "root")]
        (folder / "chain.pem").write_bytes(b"".join(chain))

    @property
    def url(self):
        """Where all authorities answer."""
        return f"http://127.0.0.1:{self.server.http_port}/ocsp"

    def issue(self, name):
        """Have a certificate issued, with a key; return its path."""
        path = self.folder / f"{name}.pem"
        self.server.command(
            "cert", "issue", "--template", "web", "--dns", f"{name}.example",
            "--key-type", "ec-p256", "--key-out", self.folder / f"{name}.key", "--out", path,
        )  # fmt: skip
        return path

    def load(self, path):
        """Return a certificate."""
        return x509.load_pem_x509_certificate(path.read_bytes())

    def revoke(self, path, reason="key-compromise"):
        """Revoke by a command beside the server."""
        serial = f"{self.load(path).serial_number:x}"
        self.server.command("cert", "revoke", serial, "--reason", reason, "--yes")

    def ask(self, *words, where="", issuer="issuing"):
        """Ask with ``openssl ocsp``; return what it says, errors too."""
        done = subprocess.run(
            [
                self.openssl, "ocsp", "-issuer", self.folder / f"{issuer}.pem",
                "-CAfile", self.folder / "root.pem", "-url", self.url + where, *words,
            ],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr

    def request(self, path, *words):
        """Return the octets of a request as openssl writes it."""
        file = self.folder / "request.der"
        command = [self.openssl, "ocsp", "-issuer", self.folder / "issuing.pem"]
        subprocess.run([*command, "-cert", path, *words, "-reqout", file], check=True)
        return file.read_bytes()


@pytest.fixture(scope="module", params=["ec-p256", "rsa-2048", "ed25519"])
def house(request, tmp_path_factory):
    """Start ``pikaserver up --key TYPE``."""
    openssl = require_program("openssl", package="openssl")
    folder = tmp_path_factory.mktemp(request.param)
    with running_server(folder, "--key", request.param) as server:
        yield House(server, folder, openssl)


@pytest.fixture(scope="module")
def good(house):
    return house.issue("good")


@pytest.fixture(scope="module")
def revoked(house):
    path = house.issue("revoked")
    house.revoke(path)
    return path


@pytest.mark.parametrize("where", ["", "/issuing"])
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
@pytest.mark.parametrize("algorithm", ["-sha1", "-sha256", "-sha384", "-sha512"])
def test_openssl_believes_the_answer(house, good, revoked, where, nonce, algorithm):
    """By any hash, with and without a nonce; and it verifies both."""
    answers = [house.ask(algorithm, "-cert", path, nonce, where=where) for path in (good, revoked)]

    for answer in answers:
        assert "Response verify OK" in answer
        assert "WARNING" not in answer
    assert f"{good}: good" in answers[0]
    assert f"{revoked}: revoked" in answers[1]
    assert "Reason: keyCompromise" in answers[1]


def test_openssl_asks_for_several_at_once(house, good, revoked):
    """One answer, one signature."""
    answer = house.ask("-cert", good, "-sha256", "-cert", revoked, "-serial", "0x5EC4E7")

    assert "Response verify OK" in answer
    assert f"{good}: good" in answer
    assert f"{revoked}: revoked" in answer
    assert "0x5EC4E7: unknown" in answer


def test_openssl_asks_about_several_authorities(house, good):
    """It wants to be told that it trusts the responder, for no one speaks for both by itself."""
    words = ("-cert", good, "-issuer", house.folder / "root.pem")
    words = (*words, "-cert", house.folder / "issuing.pem")
    unbelieved = house.ask(*words, "-respout", house.folder / "both.der")
    assert "Response Verify Failure" in unbelieved
    loaded = ocsp.load_der_ocsp_response((house.folder / "both.der").read_bytes())
    (responder,) = loaded.certificates
    trusted = house.folder / "responder.pem"
    trusted.write_bytes(responder.public_bytes(serialization.Encoding.PEM))

    answer = house.ask(*words, "-VAfile", trusted)

    assert "Response verify OK" in answer
    assert f"{good}: good" in answer
    assert f"{house.folder / 'issuing.pem'}: good" in answer


def test_openssl_asks_about_the_issuing_authority(house):
    """Its certificate is of the root, whose responder answers."""
    answer = house.ask("-cert", house.folder / "issuing.pem", issuer="root", where="/root")

    assert "Response verify OK" in answer
    assert "issuing.pem: good" in answer


def test_a_revocation_shows_on_the_very_next_request(house):
    """Made by another process, after the answer was given many times."""
    path = house.issue("fresh")
    for _ in range(3):
        assert f"{path}: good" in house.ask("-cert", path, "-no_nonce")

    house.revoke(path, "certificate-hold")
    held = house.ask("-cert", path, "-no_nonce")
    serial = f"{house.load(path).serial_number:x}"
    house.server.command("cert", "unhold", serial)
    released = house.ask("-cert", path, "-no_nonce")
    house.revoke(path, "superseded")
    ended = house.ask("-cert", path, "-no_nonce")

    assert "Reason: certificateHold" in held
    assert f"{path}: good" in released
    assert "Reason: superseded" in ended


def test_curl_gets_what_openssl_verifies(house, good):
    """RFC 5019: GET, base64 in the path however it is encoded, headers for caches, 304."""
    octets = house.request(good, "-no_nonce")
    text = base64.b64encode(octets).decode()
    response = house.folder / "got.der"
    for spelling in {text, quote(text, safe=""), quote(text), text.rstrip("="), "/" + text}:
        for where in ("/issuing", ""):
            got = curl(f"{house.url}{where}/{spelling}", "-D", "-", "-o", response)
            assert "HTTP/1.1 200" in got
            assert "application/ocsp-response" in got
            said = subprocess.run(
                [
                    house.openssl, "ocsp", "-respin", response, "-no_nonce",
                    "-issuer", house.folder / "issuing.pem", "-cert", good,
                    "-CAfile", house.folder / "root.pem",
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert "Response verify OK" in said.stderr
            assert f"{good}: good" in said.stdout
    tag = re.search(r'^etag: (".*")\r?$', got, re.IGNORECASE | re.MULTILINE)[1]
    assert re.search(r"^cache-control: max-age=60, public", got, re.IGNORECASE | re.MULTILINE)

    again = curl(f"{house.url}/{quote(text, safe='')}", "-D", "-", "-H", f"If-None-Match: {tag}")

    assert "HTTP/1.1 304" in again


def curl(url, *words):
    done = subprocess.run(
        ["curl", "-sS", "--path-as-is", "--max-time", "60", *words, url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_curl_posts_garbage_and_hears_ocsp(house):
    """Never HTML."""
    got = curl(house.url, "-D", "-", "--data-binary", "garbage")

    assert "HTTP/1.1 200" in got
    assert "application/ocsp-response" in got
    assert got.endswith("0\x03\n\x01\x01")


def test_cryptography_reads_the_answer(house, revoked):
    """Python's own reader, over a request that it built itself."""
    issuer = house.load(house.folder / "issuing.pem")
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        house.load(revoked), issuer, hashes.SHA256()
    )
    file = house.folder / "python.der"
    file.write_bytes(builder.build().public_bytes(serialization.Encoding.DER))

    answer = house.folder / "python-answer.der"
    curl(house.url, "--data-binary", f"@{file}", "-o", answer)

    loaded = ocsp.load_der_ocsp_response(answer.read_bytes())
    assert ocsp.OCSPCertStatus.REVOKED is loaded.certificate_status
    assert house.load(revoked).serial_number == loaded.serial_number
    assert x509.ReasonFlags.key_compromise is loaded.revocation_reason


def test_gnutls_believes_the_answer(house, good, revoked):
    """``ocsptool`` asks with a nonce and verifies delegation by the issuer."""
    ocsptool = require_program("ocsptool", package="gnutls-bin")

    def ask(path):
        issuer = house.folder / "issuing.pem"
        done = subprocess.run(
            [
                ocsptool, f"--ask={house.url}/issuing", "--load-cert", path,
                "--load-issuer", issuer, "--load-trust", issuer,
            ],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr

    for path, status in ((good, "good"), (revoked, "revoked")):
        answer = ask(path)
        assert f"Certificate Status: {status}" in answer
        assert "Verifying OCSP Response: Success" in answer


def test_our_own_command_agrees(house, good, revoked):
    """``ocsp check``: by the AIA, the certificate's serial, or a URL; told by exit codes."""

    def check(*words):
        command = ["ocsp", "check", *words, "--url", house.url, "-o", "json"]
        try:
            return 0, json.loads(house.server.command(*map(str, command)))
        except RuntimeError as failed:
            return int(re.search(r"exit (\d)", str(failed))[1]), None

    code, record = check(good)
    assert (0, "good", "echoed") == (code, record["status"], record["nonce"])
    assert record["no_check"] is True
    serial = f"{house.load(good).serial_number:x}"
    code, record = check(serial, "--no-nonce", "--hash", "sha512")
    assert (0, "good", "not sent") == (code, record["status"], record["nonce"])
    assert 1 == check(revoked, "--issuer", house.folder / "issuing.pem")[0]


@contextmanager
def started(*command, port):
    """Run a server until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < end
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def stapled(house, port):
    """Return what ``openssl s_client -status`` says of the staple."""
    done = subprocess.run(
        [
            house.openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-status",
            "-servername", "www.example", "-CAfile", house.folder / "root.pem",
        ],
        input=b"", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout.decode(errors="replace")


def test_nginx_staples_our_answer(house):
    """It asks with the certificate's first handshakes, verifies, and staples."""
    nginx = require_program("nginx", package="nginx-light", also_in=[Path("/usr/sbin")])
    house.issue("www")
    port = free_port()
    config = house.folder / "nginx.conf"
    url = f"{house.url}/issuing"
    config.write_text(NGINX.format(folder=house.folder, port=port, url=url))

    with started(nginx, "-c", config, "-e", "stderr", port=port):
        end = time.monotonic() + PATIENCE
        answer = stapled(house, port)
        while "OCSP Response Status: successful" not in answer and time.monotonic() < end:
            answer = stapled(house, port)

    assert "OCSP Response Status: successful" in answer
    assert "Cert Status: good" in answer
    assert "Verify return code: 0 (ok)" in answer


def test_haproxy_staples_our_answer(house):
    """Read from a file at its start, and given by its socket while it runs."""
    haproxy = require_program("haproxy", package="haproxy", also_in=[Path("/usr/sbin")])
    path = house.issue("proxy")
    both = house.folder / "both.pem"
    both.write_bytes(path.read_bytes() + (house.folder / "proxy.key").read_bytes())
    house.ask("-cert", path, "-no_nonce", "-respout", f"{both}.ocsp")
    port = free_port()
    config = house.folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(folder=house.folder, port=port))

    with started(haproxy, "-db", "-q", "-f", config, port=port):
        first = stapled(house, port)
        house.revoke(path)
        house.ask("-cert", path, "-no_nonce", "-respout", house.folder / "next.ocsp")
        text = base64.b64encode((house.folder / "next.ocsp").read_bytes()).decode()
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(str(house.folder / "stats"))
            stats.sendall(f"set ssl ocsp-response {text}\n".encode())
            told = stats.recv(4096)
        second = stapled(house, port)

    assert "Cert Status: good" in first
    assert b"updated" in told
    assert "Cert Status: revoked" in second


def test_ml_dsa_is_believed_by_an_openssl_that_knows_it(tmp_path):
    """Authority and responder sign with ML-DSA-65."""
    openssl = require_ml_dsa_openssl()
    with running_server(tmp_path, "--key", "ml-dsa-65") as server:
        house = House(server, tmp_path, openssl)
        path = house.issue("pq")
        before = house.ask("-cert", path, "-nonce")
        house.revoke(path)
        after = house.ask("-cert", path, "-no_nonce", where="/issuing")

    assert "Response verify OK" in before
    assert f"{path}: good" in before
    assert "Response verify OK" in after
    assert f"{path}: revoked" in after
