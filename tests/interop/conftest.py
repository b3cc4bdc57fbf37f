"""A server on real sockets, before which real clients stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1.der import read_pem, write_pem
from pikaserver.clock import system_clock
from pikaserver.testing.clock import CountedEntropy, FrozenClock
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.throw_away import distinguished_name, spki, throw_away_key
from pikaserver.web.application import build_application
from pikaserver.web.limits import Limits
from pikaserver.web.listeners import WebListener, WebListenerSettings
from pikaserver.web.tls import TlsSettings
from pikaserver.web.tls_contexts import TlsIdentity
from pikaserver_crl.plugin import register_services as crl_services
from pikaserver_est import storage as est_storage
from pikaserver_est.plugin import register_services as est_services


@dataclass(frozen=True)
class EstServer:
    """Where it stands, whom to trust, and what an operator can do."""

    https: str
    http: str
    trust: Path
    fake: FakeServer

    def code(self, uses: int = 1) -> tuple[str, str]:
        """Make an enrolment code for the template ``device``."""
        user = f"user-{self.fake.entropy(4).hex()}"
        ends = self.fake.clock() + timedelta(days=1)
        self.fake.codes.add(user, "sesame", "device", ends, uses=uses)
        return user, "sesame"

    def revoke(self, certificate: Path) -> None:
        """Revoke a certificate and sign a CRL at once."""
        (der,) = read_pem(certificate.read_bytes(), "CERTIFICATE")
        record = self.fake.certificates.by_certificate(der)
        revocation = Revocation(self.fake.clock(), RevocationReason.KEY_COMPROMISE)
        self.fake.revoke(record, revocation, "test")
        self.fake.crls.issue_due()


@pytest.fixture
def est_server(tmp_path) -> Iterator[EstServer]:
    """Serve EST over TLS and CRLs in clear, with certificates of now."""
    fake = FakeServer(clock=FrozenClock(system_clock().replace(microsecond=0)))
    with fake.database.transaction() as connection:
        est_storage.metadata.create_all(connection)
    fake.crls.issue_due()
    trust = tmp_path / "root.pem"
    trust.write_bytes(_pem(fake.authorities.keys["root"][0].certificate))
    issuing = fake.authorities.keys["issuing"][0]
    tls = TlsSettings(lambda: identity_of(fake), lambda: [issuing.certificate])
    devices = _listener(fake, "devices", est_services(fake), tls)
    public = _listener(fake, "public", crl_services(fake), None)
    try:
        https = f"https://localhost:{devices.address[1]}"
        yield EstServer(https, f"http://localhost:{public.address[1]}", trust, fake)
    finally:
        devices.stop(1)
        public.stop(1)


def _listener(fake, name, services, tls):
    serve = tuple(service.name for service in services)
    asks = "none" if tls is None else "optional"
    settings = WebListenerSettings(name, "127.0.0.1", 0, serve, None, tls, asks)
    application = build_application(services, entropy=CountedEntropy())
    limits = Limits(workers=2).serving(services)
    listener = WebListener(settings, limits, entropy=CountedEntropy(), clock=fake.clock)
    listener.start(application)
    return listener


def identity_of(fake):
    key = throw_away_key(CountedEntropy("tls"))
    issuing = fake.authorities.keys["issuing"][0]
    now = fake.clock()
    leaf = issuing.certify(
        spki(key),
        distinguished_name("localhost"),
        now,
        now + timedelta(days=1),
        names=[x509.DNSName("localhost")],
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return TlsIdentity(_pem(leaf) + _pem(issuing.certificate), private, "1")


def _pem(certificate):
    return write_pem("CERTIFICATE", certificate)
