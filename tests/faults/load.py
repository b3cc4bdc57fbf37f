"""Many devices at once before a running server, each with a key, a line and an address."""

import base64
import http.client
import os
import sqlite3
import ssl
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Lock

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pikaserver.asn1.cms import read_certificates_only
from pikaserver.opening import open_server
from pikaserver.server import PkiServer
from pikaserver.settings.loading import load
from pikaserver.testing.servers import ServerProcess

PATH = "/.well-known/est/simpleenroll"
_ADDRESSES = 40
"""Loopback has many addresses; the server allows so many connections for each."""
_TIME_LIMIT_SECONDS = 240


def request(common_name: str) -> bytes:
    """Return a CSR of a fresh P-256 key, in base64."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder(name)
    csr = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(csr.public_bytes(Encoding.DER))


def opened(data: Path) -> AbstractContextManager[PkiServer]:
    """Open a server's data beside the running process, as the command line does."""
    return open_server(load(os.environ, data=data), os.environ)


def count(data: Path) -> int:
    """Return how many certificates, signed or only meant to be, the database has."""
    with closing(sqlite3.connect(data / "pikaserver.db")) as database:
        row: tuple[int] = database.execute("SELECT count(*) FROM certificate").fetchone()
    return row[0]


@dataclass(frozen=True)
class Reply:
    """What one enrolment was answered."""

    status: int
    text: str
    content_type: str | None
    retry_after: str | None


@dataclass
class Load:
    """Enrols many devices with one code of many uses and keeps what they received."""

    server: ServerProcess
    code: tuple[str, str]
    certificates: list[bytes] = field(default_factory=list)
    """DER, as soon as a client has the whole answer."""
    outcomes: Counter[object] = field(default_factory=Counter)
    """HTTP statuses, and names of exceptions."""

    def __post_init__(self) -> None:
        self._lock = Lock()
        self.trust = ssl.create_default_context(
            cadata=self.server.get("/ca/root.pem").decode("ascii")
        )

    def start(self, devices: int, pool: ThreadPoolExecutor) -> list[Future[None]]:
        """Let so many devices begin at the same moment; the pool has a thread for each."""
        requests = [request(f"device-{number}") for number in range(devices)]
        together = Barrier(devices)
        return [
            pool.submit(self._enrol, number, body, together) for number, body in enumerate(requests)
        ]

    def headers(self) -> dict[str, str]:
        """Return what an enrolment needs beside its body."""
        credentials = base64.b64encode(":".join(self.code).encode()).decode()
        return {"Content-Type": "application/pkcs10", "Authorization": f"Basic {credentials}"}

    def line(self, number: int = 0) -> http.client.HTTPSConnection:
        """Return a connection of device so-and-so, which is not open yet."""
        return http.client.HTTPSConnection(
            "127.0.0.1",
            self.server.https_port,
            context=self.trust,
            timeout=_TIME_LIMIT_SECONDS,
            source_address=(f"127.0.0.{number % _ADDRESSES + 2}", 0),
        )

    def enrol(self, body: bytes | None = None, number: int = 0) -> Reply:
        """Enrol one device and keep its certificate.

        Raises:
            OSError: the line was cut.
            HTTPException: it was cut within the answer.
        """
        line = self.line(number)
        try:
            line.request("POST", PATH, body or request("device"), self.headers())
            answer = line.getresponse()
            text = answer.read()
        finally:
            line.close()
        if answer.status == http.client.OK:
            received = read_certificates_only(base64.b64decode(text))
            with self._lock:
                self.certificates += received
        headers = answer.headers
        return Reply(answer.status, text.decode(), headers["Content-Type"], headers["Retry-After"])

    def _enrol(self, number: int, body: bytes, together: Barrier) -> None:
        together.wait()
        try:
            outcome: object = self.enrol(body, number).status
        except (OSError, http.client.HTTPException) as cut:
            outcome = type(cut).__name__
        with self._lock:
            self.outcomes[outcome] += 1
