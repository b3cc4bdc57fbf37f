"""EST before a server in memory."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.registrars import CMC_RA
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import (
    distinguished_name,
    spki,
    throw_away_key,
    throw_away_request,
)
from pikaserver_est import storage
from pikaserver_est.plugin import EstSettings, register_services
from tests.est.cmc_client import CmcClient


@pytest.fixture
def server():
    made = FakeServer([EstSettings()])
    with made.database.transaction() as connection:
        storage.metadata.create_all(connection)
    made.codes.add("4711", "sesame", "device", made.clock() + timedelta(days=1), uses=2)
    return made


@pytest.fixture
def est(server):
    """Return a client of the service."""
    return ServiceClient(*register_services(server))


@pytest.fixture
def key(server):
    return throw_away_key(server.entropy)


@pytest.fixture
def registrar(server):
    """Return the certificate of a registration authority, of the template ``registrar``."""
    server.templates.add(make_template("registrar"))
    made = server.issue(
        read_csr(throw_away_request(throw_away_key(server.entropy), "RA 1")), "registrar"
    )
    issuing = server.authorities.keys["issuing"][0]
    now = server.clock()
    certificate = issuing.certify(
        spki(throw_away_key(server.entropy)),
        distinguished_name("RA 1"),
        now,
        now + timedelta(days=90),
        extensions=[(x509.ExtendedKeyUsage([CMC_RA]), False)],
    )
    serial = x509.load_der_x509_certificate(certificate).serial_number
    fingerprint = hashlib.sha256(certificate).hexdigest()
    return server.certificates.add(
        replace(made, certificate=certificate, serial=serial, fingerprint=fingerprint)
    )


@pytest.fixture
def record(server, key):
    """Return a certificate of ours for the key."""
    return server.issue(read_csr(throw_away_request(key, "plc-21")))


@pytest.fixture
def client(est, server, tmp_path):
    """Return a client of CMC."""
    root = server.authorities.keys["root"][0].certificate
    return CmcClient(est, tmp_path, [root], server.clock())


@pytest.fixture
def new(server):
    """Return a key that a client changes to."""
    return throw_away_key(server.entropy)


@pytest.fixture
def making(server):
    """Let the template have keys made here."""
    rules = replace(make_template().est, server_keys=True)
    server.templates.add(make_template(est=rules))
