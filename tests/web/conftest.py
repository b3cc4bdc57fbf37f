"""Listeners on loopback, throw-away certificates, and clients that speak octets."""

import datetime as dt
import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.web import Route, Security, Service, client_connection
from pikaserver.clock import system_clock, system_entropy
from pikaserver.web.application import build_application
from pikaserver.web.limits import Limits
from pikaserver.web.listeners import WebListener, WebListenerSettings
from pikaserver.web.tls import IdentityFiles, TlsSettings

PATIENCE = 60
"""Seconds after which a client of a test gives up."""
QUICK = Limits(round_seconds=0.05)
LAST = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Door:
    """Keeps what reached it, and answers with the body or what it was told to."""

    def __init__(self):
        self.requests = []
        self.answer = b"hello"
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def on_get(self, request, response, **_fields):
        """Answer, once the gate is open."""
        self.requests.append((request.method, request.env["REQUEST_URI"]))
        self.connection = client_connection(request)
        self.env = dict(request.env)
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        response.content_type = "text/plain"
        response.data = self.answer

    def on_post(self, request, response, **_fields):
        """Send the body back."""
        self.requests.append((request.method, request.env["REQUEST_URI"]))
        self.connection = client_connection(request)
        response.content_type = "application/octet-stream"
        response.data = request.bounded_stream.read()

    def on_put(self, _request, response, **_fields):
        """Answer in pieces, without a length."""
        response.stream = iter([b"one", b"two"])


def read_all(connection):
    """Return everything until the other side closes."""
    connection.settimeout(PATIENCE)
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@dataclass
class Running:
    """A listener and its door."""

    listener: WebListener
    door: Door
    read_all = staticmethod(read_all)

    @property
    def address(self):
        """Host and port."""
        return self.listener.address

    def connect(self, source=None):
        """Return a plain connection; ``source`` is an address of 127.0.0.0/8."""
        return socket.create_connection(
            self.address, PATIENCE, source_address=(source, 0) if source else None
        )

    def send(self, octets, source=None):
        """Send octets and return all that comes until the server closes."""
        with self.connect(source) as connection:
            connection.sendall(octets)
            return read_all(connection)


@dataclass
class House:
    """Starts listeners and stops them after the test."""

    running: list = field(default_factory=list)

    def start(self, limits=QUICK, *, services=None, **settings):
        """Start a listener with one door at ``/door``."""
        door = Door()
        services = services or [
            Service("door", Security.PLAIN, [Route("/door", door), Route("/door/{x:path}", door)])
        ]
        chosen = WebListenerSettings(
            **{"name": "test", "host": "127.0.0.1", "port": 0, "serve": ("door",)} | settings
        )
        listener = WebListener(
            chosen, limits, entropy=system_entropy, clock=system_clock, shortcuts=services
        )
        listener.start(build_application(services, entropy=system_entropy))
        self.running.append(listener)
        return Running(listener, door)


@pytest.fixture
def house():
    """A house whose listeners end with the test."""
    house = House()
    yield house
    for listener in house.running:
        listener.stop(0)


@pytest.fixture
def quick():
    """Limits whose rounds are short, so that tests need not wait."""
    return lambda **more: replace(QUICK, **more)


class Authority:
    """A throw-away CA for servers and clients, below another one or a root."""

    def __init__(self, folder, name="Test CA", key=None, above=None):
        self.folder = folder
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        signer = above or self
        self.certificate = signer.sign(self.name, self.key.public_key(), ca=True)
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)
        self.chain = b"" if above is None else self.file.read_bytes() + above.chain

    def sign(self, subject, public_key, *, ca=False, days=30, since=1, usage=None):
        """Return a certificate."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder(self.name, subject, public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=since))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if not ca:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        classical = isinstance(self.key, ec.EllipticCurvePrivateKey)
        return builder.sign(self.key, hashes.SHA256() if classical else None)

    @staticmethod
    def der_of(path):
        """Return the first certificate of a file as DER."""
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return certificate.public_bytes(serialization.Encoding.DER)

    def issue(self, name, key=None, **wishes):
        """Write ``name.pem``, with what is below the root, and ``name.key``; return their paths."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self.sign(subject, key.public_key(), **wishes)
        chain, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + self.chain)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return chain, private


@pytest.fixture
def make_authority(tmp_path):
    """Make CAs."""
    return lambda name="Test CA", key=None, above=None: Authority(tmp_path, name, key, above)


@pytest.fixture
def authority(make_authority):
    """A CA that the listener trusts and whose clients trust the listener."""
    return make_authority()


@pytest.fixture
def tls(authority):
    """Settings with a certificate for 127.0.0.1 and the CA as trust anchor."""
    return TlsSettings(IdentityFiles(*authority.issue("server")), lambda: [authority.der])


def run(*command, text=b""):
    """Return what a client prints that was told a text."""
    done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=60)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def talk():
    """Say something to a listener with ``openssl s_client``; return what it prints."""

    def say(running, *options, text=LAST, openssl="openssl"):
        where = "{}:{}".format(*running.address)
        return run(openssl, "s_client", "-connect", where, "-ign_eof", *options, text=text)

    return say


@pytest.fixture
def curl(authority):
    """Ask a listener with curl, which trusts the CA and may show a certificate and its key."""

    def ask(running, pair=()):
        shown = [word for words in zip(("--cert", "--key"), pair, strict=False) for word in words]
        url = "https://{}:{}/door".format(*running.address)
        return run("curl", "-sS", "--max-time", "60", "--cacert", authority.file, *shown, url)

    return ask


@pytest.fixture
def until():
    """Wait for what another thread is about to do."""

    def wait(condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.01)

    return wait


@pytest.fixture
def shake(authority):
    """Open TLS connections to a listener."""
    opened = []

    def connect(running, certificate=None, version=None, source=None):
        context = ssl.create_default_context(cafile=authority.file)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        connection = context.wrap_socket(running.connect(source), server_hostname="127.0.0.1")
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()
