"""Real clients before the real server: openssl, GnuTLS, curl and our own command."""

import base64
import json
import re
import subprocess
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import running_server
from tests.ocsp.asking import KEY_TYPES, House, asked_server


@pytest.fixture(scope="module", params=KEY_TYPES)
def house(request, tmp_path_factory):
    """Give a server whose authorities have keys of this type."""
    with asked_server(tmp_path_factory.mktemp(request.param), request.param) as made:
        yield made


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
