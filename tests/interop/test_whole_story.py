"""The whole story before the real server: enrol, renew, verify, revoke, be refused."""

import json
import re
import sqlite3
import ssl
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from pikaserver.testing.est_clients import CurlEst, StrongswanEst, make_wish
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import ServerProcess, running_server

CLIENTS = pytest.mark.parametrize("kind", [CurlEst, StrongswanEst])
NAMES = ("DNS:plc-21.example",)
INTRUSION = ("email:root@plant.example",)


@dataclass(frozen=True)
class House:
    """A running server, how its clients reach and trust it, and who judges certificates."""

    server: ServerProcess
    key_type: str
    trust: Path
    openssl: str

    @property
    def has_ml_dsa(self):
        """Whether the authorities sign with ML-DSA."""
        return self.key_type.startswith("ml-dsa")

    @property
    def client_certificates_work(self):
        """Whether TLS can read a certificate of this house that a client shows."""
        return not self.has_ml_dsa or tls_knows_ml_dsa()

    def count(self):
        """Return how many certificates are in the database."""
        with closing(sqlite3.connect(self.server.data / "pikaserver.db")) as database:
            return database.execute("SELECT count(*) FROM certificate").fetchone()[0]

    def client(self, kind, folder):
        """Return a client; the address, not the name, because strongSwan asks the resolver."""
        return kind(f"https://127.0.0.1:{self.server.https_port}", self.trust, folder)

    def verified(self, certificate, *crls):
        """Ask openssl for its verdict on the chain, and on the revocation where CRLs are given."""
        chain = certificate.with_suffix(".chain")
        chain.write_bytes(self.server.get("/downloads/chain"))
        options = ["-crl_check"] if crls else []
        for crl in crls:
            options += ["-CRLfile", str(crl)]
        told = subprocess.run(
            [self.openssl, "verify", *options, "-CAfile", chain, certificate],
            capture_output=True,
            text=True,
            check=False,
        )
        return told.returncode == 0, told.stdout + told.stderr


@pytest.fixture(scope="module", params=["ec-p256", "ec-p384", "rsa-4096", "ml-dsa-65"])
def house(request, tmp_path_factory):
    """Start ``pikaserver up --key TYPE``; it makes both authorities and serves."""
    key_type, folder = request.param, tmp_path_factory.mktemp(request.param)
    if key_type.startswith("ml-dsa"):
        openssl, root = require_ml_dsa_openssl(), "tls"
    else:
        openssl, root = require_program("openssl", package="openssl"), "root"
    with running_server(folder, "--key", key_type) as server:
        trust = folder / "trust.pem"
        trust.write_bytes(server.get(f"/ca/{root}.pem"))
        yield House(server, key_type, trust, openssl)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "client"
    made.mkdir()
    return made


@pytest.fixture
def client(kind, house, folder):
    """Return a client that reads certificates of this house."""
    if kind is StrongswanEst and house.has_ml_dsa:
        pytest.skip("strongSwan 5 and 6 read no ML-DSA")
    return house.client(kind, folder)


@CLIENTS
def test_a_device_enrols_renews_and_is_revoked(house, client, folder):
    """One code buys one certificate; openssl accepts it until its revocation, and so do we."""
    wish, intruder = make_wish(folder, "plc-21", NAMES), make_wish(folder, "plc-22", INTRUSION)
    code, count = house.server.code(), house.count()
    assert 2 == len(client.ca_certificates())

    refused, wrong, nothing = (
        client.enroll(intruder, code),
        client.enroll(wish, (code[0], "guess")),
        client.enroll(wish),
    )
    assert [400, 401, 401] == [refused.status, wrong.status, nothing.status]
    assert count == house.count()
    if isinstance(client, CurlEst):  # strongSwan keeps the sentence to itself
        assert "email" in refused.text
    first, again = client.enroll(wish, code), client.enroll(wish, code)
    assert [200, 401] == [first.status, again.status], first.text
    newest = renewed(house, client, wish, first.certificate)
    judge_before_and_after_revocation(house, newest)
    if house.client_certificates_work:
        assert 401 == client.renew(wish, newest, wish.key).status


def renewed(house, client, wish, old):
    """Renew, where both ends of TLS can read the certificate that is shown."""
    if not house.client_certificates_work:
        return old
    answer = client.renew(wish, old, wish.key)
    assert 200 == answer.status, answer.text
    assert serial_of(old) != serial_of(answer.certificate)
    return answer.certificate


def judge_before_and_after_revocation(house, certificate):
    """Let openssl judge, revoke in between, and expect another verdict."""
    crl = certificate.with_suffix(".crl")
    crl.write_bytes(house.server.get("/downloads/crl"))
    good, told = house.verified(certificate, crl)
    assert good, told

    serial = serial_of(certificate)
    house.server.command("cert", "revoke", f"{serial:X}", "--reason", "key-compromise", "--yes")

    status = json.loads(house.server.get(f"/status/{serial:X}"))
    assert ("revoked", "keyCompromise") == (status["status"], status["reason"])
    house.server.wait_for_crl(serial)
    crl.write_bytes(house.server.get("/downloads/crl"))
    good, told = house.verified(certificate, crl)
    assert not good
    assert "certificate revoked" in told


def test_a_device_with_an_ml_dsa_key_enrols(house, folder):
    """The key in the certificate is the one that openssl made, whatever signs it."""
    openssl = require_ml_dsa_openssl()
    wish = make_wish(folder, "plc-25", NAMES, "ml-dsa-65", openssl)

    answer = house.client(CurlEst, folder).enroll(wish, house.server.code())

    assert 200 == answer.status, answer.text
    certified, own = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in (
            [openssl, "x509", "-in", answer.certificate, "-noout", "-pubkey"],
            [openssl, "pkey", "-in", wish.key, "-pubout"],
        )
    )
    assert own == certified


def tls_knows_ml_dsa():
    """Tell whether Python's and curl's OpenSSL are 3.5 or newer."""
    curl = require_program("curl", package="curl")
    told = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"OpenSSL/(\d+)\.(\d+)", told)
    of_curl = (int(found[1]), int(found[2])) if found else (0, 0)
    return min(of_curl, ssl.OPENSSL_VERSION_INFO[:2]) >= (3, 5)


def serial_of(certificate):
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
