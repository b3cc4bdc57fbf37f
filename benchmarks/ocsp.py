"""OCSP answers per second, against ``openssl ocsp`` and what HTTP and signing would allow.

Asked are certificates out of many, without a nonce (signed once, then kept) and with one
(signed each time), over connections that are kept and over new ones.  ``openssl ocsp -port``
ends each connection after its answer.  The limit without a nonce is a bare waitress that
answers so many octets; with a nonce it is that and one signature made and verified.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from filling import fill
from load import Load, Outcome, run
from measuring import (
    arguments,
    cpu_seconds,
    percentile,
    print_facts,
    print_table,
    ratio,
)

from pikaserver.api.certificates import CertificateQuery
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.ocsp import CertId, issuer_octets, make_cert_id
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port

CERTIFICATES = 500
NONCE_OCTETS = 32
HEAD = (
    "question", "clients", "server", "connections", "answers/s", "of openssl", "of the limit",
    "p50 ms", "p99 ms", "CPU us",
)  # fmt: skip
BARE = """
import sys, waitress
def application(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/ocsp-response"),
                              ("Content-Length", "800")])
    return [bytes(800)]
waitress.serve(application, host="127.0.0.1", port=int(sys.argv[1]), threads=8,
               asyncore_use_poll=True, send_bytes=18000, _quiet=True)
"""


@dataclass(frozen=True, slots=True)
class Rival:
    """A server that is measured; ``pids`` are its processes."""

    name: str
    port: int
    path: str
    cert_ids: Sequence[CertId]
    pids: Sequence[int]
    kept: bool

    def outcome(self, clients: int, seconds: float, *, nonce: bool) -> tuple[Outcome, float]:
        """Ask for so long; return what came back, and CPU seconds for one answer."""
        load_ = Load(
            self.port,
            [self._request(cert_id, nonce=nonce) for cert_id in self.cert_ids],
            clients,
            seconds,
            tls=False,
            new_connections=not self.kept,
        )
        used = sum(map(cpu_seconds, self.pids))
        outcome = run(load_)
        used = sum(map(cpu_seconds, self.pids)) - used
        if outcome.statuses.keys() != {200}:
            raise RuntimeError(f"{self.name} answered {outcome.statuses}")
        return outcome, used / max(1, outcome.answers)

    def _request(self, cert_id: CertId, *, nonce: bool) -> bytes:
        body = write_request([cert_id], os.urandom(NONCE_OCTETS) if nonce else None)
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {HOSTNAME}\r\n"
            f"Content-Type: application/ocsp-request\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def main() -> None:
    """Measure everybody in turns."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        with ours(folder) as rivals, bare() as limit, openssl(folder) as peers:
            print_facts(__doc__)
            rows: list[tuple[object, ...]] = []
            for nonce in (False, True):
                for clients in options.clients:
                    everybody = [*peers, *rivals]
                    rows += measured(everybody, limit, clients, options.seconds, nonce=nonce)
            print_table(HEAD, rows)
            print(f"one signature made and verified: {sign_and_verify() * 1e6:,.0f} us")


def measured(
    everybody: Sequence[Rival], limit: Rival, clients: int, seconds: float, *, nonce: bool
) -> Iterator[tuple[object, ...]]:
    """Yield a row for each rival, beside the limit of the same moment."""
    allowed = 1 / limit.outcome(clients, seconds / 2, nonce=nonce)[0].rate
    if nonce:
        allowed += sign_and_verify()
    best_peer = 0.0
    for rival in everybody:
        rival.outcome(clients, 0.3, nonce=nonce)
        outcome, cpu = rival.outcome(clients, seconds, nonce=nonce)
        if rival.name.startswith("openssl"):
            best_peer = max(best_peer, outcome.rate)
        yield (
            "with nonce" if nonce else "kept",
            clients,
            rival.name,
            "kept" if rival.kept else "new",
            outcome.rate,
            ratio(outcome.rate, best_peer),
            ratio(outcome.rate, 1 / allowed),
            percentile(outcome.latencies, 0.5) * 1000,
            percentile(outcome.latencies, 0.99) * 1000,
            cpu * 1e6,
        )


def sign_and_verify(seconds: float = 0.5) -> float:
    """Return how many seconds one P-256 signature takes, with its verification."""
    key = ec.generate_private_key(ec.SECP256R1())
    public_key, algorithm, octets = key.public_key(), ec.ECDSA(hashes.SHA256()), bytes(200)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        public_key.verify(key.sign(octets, algorithm), octets, algorithm)
        done += 1
    return (time.perf_counter() - began) / done


@contextmanager
def ours(folder: Path) -> Iterator[list[Rival]]:
    """Give our server with certificates, asked over kept and over new connections."""
    data = folder / "data"
    set_up(FirstStart(data, hostname=HOSTNAME), {}, system_clock)
    with open_server(load({}, data=data), {}) as opened:
        fill(opened, CERTIFICATES)
        issuer = opened.authorities.key("issuing").certificate
        octets = issuer_octets(0, subject_of(issuer), public_key_of(issuer))
        found = opened.certificates.find(
            CertificateQuery(authority="issuing", template="device", limit=CERTIFICATES)
        )
        cert_ids = [make_cert_id(octets, record.serial) for record in found]
    # New connections that come quicker than the former ones are seen to end would be too many.
    os.environ["PIKASERVER__LIMITS__CONNECTIONS_PER_ADDRESS"] = "1000"
    server = ServerProcess(data, free_port(), free_port())
    server.start()
    try:
        pids = [server.process.pid] if server.process else []
        yield [
            Rival("pikaserver", server.http_port, "/ocsp", cert_ids, pids, kept)
            for kept in (True, False)
        ]
    finally:
        server.stop()


@contextmanager
def bare() -> Iterator[Rival]:
    """Give a waitress that only answers."""
    port = free_port()
    words = [sys.executable, "-W", "ignore", "-c", BARE, str(port)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        time.sleep(1)
        try:
            cert_id = make_cert_id(bytes(60), 1 << 140)
            yield Rival("bare waitress", port, "/", [cert_id], [process.pid], kept=True)
        finally:
            process.terminate()


@contextmanager
def openssl(folder: Path) -> Iterator[list[Rival]]:
    """Give ``openssl ocsp`` as one and as two processes, with as many certificates."""
    key, issuer = _authority(folder)
    octets = issuer_octets(0, subject_of(issuer), public_key_of(issuer))
    cert_ids = []
    with (folder / "index.txt").open("w") as index:
        for number in range(CERTIFICATES):
            serial = 0x01 << 136 | number << 64
            cert_ids.append(make_cert_id(octets, serial))
            index.write(f"V\t401231235959Z\t\t{serial:036X}\tunknown\t/CN=d{number}\n")
    words = [
        "openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem",
        "-rkey", key, "-ndays", "1",
    ]  # fmt: skip
    started, rivals = [], []
    try:
        for more in ([], ["-multi", "2"]):
            port = free_port()
            process = subprocess.Popen(
                [*words, "-port", str(port), *more],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # its children end with it, below
            )
            started.append(process)
            time.sleep(1)
            pids = [process.pid, *_children(process.pid)]
            name = f"openssl ocsp, {max(1, len(pids) - 1)}"
            rivals.append(Rival(name, port, "/", cert_ids, pids, kept=False))
        yield rivals
    finally:
        for process in started:
            os.killpg(process.pid, 15)
            process.wait()


def _authority(folder: Path) -> tuple[str, x509.Certificate]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuing CA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=365))
    issuer = builder.sign(key, hashes.SHA256())
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "ca.key").write_bytes(octets)
    (folder / "ca.pem").write_bytes(issuer.public_bytes(Encoding.PEM))
    (folder / "index.txt.attr").touch()
    return "ca.key", issuer


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
