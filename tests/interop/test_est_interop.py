"""EST with clients that other people wrote: curl with openssl, and strongSwan's pki."""

import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from pikaserver.asn1.der import write_pem
from pikaserver.testing.est_clients import CurlEst, StrongswanEst, make_wish
from pikaserver.testing.throw_away import distinguished_name

CLIENTS = pytest.mark.parametrize("kind", [CurlEst, StrongswanEst])
NAMES = ("DNS:plc-21.example",)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "client"
    made.mkdir()
    return made


@pytest.fixture
def kind():
    """Return curl where a test does not name its clients."""
    return CurlEst


@pytest.fixture
def client(kind, est_server, folder):
    """Return a client before a running server."""
    return kind(est_server.https, est_server.trust, folder)


@pytest.fixture
def wish(folder):
    """Return a key and a request of a device."""
    return make_wish(folder, "plc-21", NAMES)


def verified(chain, certificate, *options):
    told = subprocess.run(
        ["openssl", "verify", *options, "-CAfile", str(chain), str(certificate)],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.returncode == 0, told.stdout + told.stderr


@CLIENTS
def test_a_client_fetches_the_ca_certificates(client, est_server):
    """Both, and the root among them is the one that it trusted."""
    found = client.ca_certificates()

    assert 2 == len(found)
    assert est_server.trust.read_text() in found


@CLIENTS
def test_a_code_buys_one_certificate_that_verifies(client, est_server, wish, folder):
    """A second use of it, a wrong one and none: 401."""
    code = est_server.code()

    first = client.enroll(wish, code)
    again, wrong, nothing = (
        client.enroll(wish, shown) for shown in (code, (code[0], "guess"), None)
    )

    assert 200 == first.status, first.text
    chain = folder / "chain.pem"
    chain.write_text("".join(client.ca_certificates()))
    good, told = verified(chain, first.certificate)
    assert good, told
    assert [401, 401, 401] == [answer.status for answer in (again, wrong, nothing)]


@CLIENTS
def test_a_certificate_renews_itself_until_it_is_revoked(client, est_server, wish, folder):
    """Under the same name only, with the same key or another."""
    first = client.enroll(wish, est_server.code())
    other = make_wish(folder, "plc-22", NAMES)

    renewed = client.renew(wish, first.certificate, wish.key)
    refused = client.renew(other, first.certificate, wish.key)
    est_server.revoke(renewed.certificate)
    revoked = client.renew(wish, renewed.certificate, wish.key)

    assert [200, 400, 401] == [answer.status for answer in (renewed, refused, revoked)]


@pytest.mark.parametrize(
    ("days", "why"),
    [(1, "is not one of ours"), (-1, "is expired")],
)
def test_the_owner_of_a_bad_certificate_learns_why(client, est_server, wish, folder, days, why):
    """Where a certificate is optional: 401 with a reason, not an alert of TLS."""
    issuing, now = est_server.fake.authorities.keys["issuing"][0], est_server.fake.clock()
    public = load_pem_private_key(wish.key.read_bytes(), None).public_key()
    certificate = folder / "bad.pem"
    ends = now + timedelta(days=days)
    name = distinguished_name("plc-21")
    made = issuing.certify(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        name,
        now - timedelta(days=2),
        ends,
    )
    certificate.write_bytes(write_pem("CERTIFICATE", made))

    answer = client.renew(wish, certificate, wish.key)

    assert (401, f"the client certificate {why}\n") == (answer.status, answer.text)


def test_openssl_accepts_before_and_refuses_after_the_revocation(client, est_server, wish, folder):
    """``openssl verify -crl_check`` with the CRL and the chain from the short paths."""
    certificate = client.enroll(wish, est_server.code()).certificate
    chain, before, after = (folder / name for name in ("chain.pem", "before.pem", "after.pem"))
    fetch(est_server, "/downloads/chain", chain)
    fetch(est_server, "/downloads/crl", before)

    est_server.revoke(certificate)
    fetch(est_server, "/crl/issuing.crl", after)

    good, told = verified(chain, certificate, "-crl_check", "-CRLfile", str(before))
    assert good, told
    good, told = verified(chain, certificate, "-crl_check", "-CRLfile", str(after))
    assert not good
    assert "certificate revoked" in told


def fetch(est_server, path, to):
    url = est_server.http + path
    subprocess.run(["curl", "-fsS", url, "-o", str(to)], check=True, capture_output=True)


def test_a_chunked_body_is_taken(client, est_server, wish):
    """GlobalSign's client sends nothing else."""
    client.enroll(wish)  # writes the body
    user = ":".join(est_server.code())

    answer = client.send(
        "simpleenroll",
        "--user",
        user,
        "-H",
        "Content-Type: application/pkcs10",
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
        f"@{wish.csr.with_suffix('.b64')}",
    )

    assert 200 == answer.status, answer.text


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (("-d", "hello"), 415, "expected application/pkcs10"),
        (("-H", "Content-Type: application/pkcs10", "-d", "hello"), 400, "expected a CSR"),
        (("-H", "Content-Type: application/pkcs10", "-d", "x" * 70_000), 413, "65536 octets"),
    ],
)
def test_a_person_with_curl_learns_what_was_wrong(client, est_server, options, status, text):
    """In one sentence of plain text."""
    user = ":".join(est_server.code())

    answer = client.send("simpleenroll", "--user", user, *options)

    assert status == answer.status
    assert text in answer.text


def test_an_unknown_label_is_told(est_server, folder):
    """A template that is not there."""
    client = CurlEst(est_server.https, est_server.trust, folder, "nothing")

    answer = client.send("cacerts")

    assert (404, "no template 'nothing'\n") == (answer.status, answer.text)
