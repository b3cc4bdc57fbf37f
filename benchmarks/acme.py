"""Whole ACME orders per second, against pebble in the same run; both ask for no proof.

An order is newOrder, finalize, as many questions as it takes until it is valid, and the
download of the chain.  Every client has an account, a name and a connection of its own, and
makes one order after the other; nonces come with the answers.  Ours stores everything durably;
pebble keeps it in memory.
"""

import base64
import http.client
import json
import multiprocessing
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from acme_houses import PATIENCE_SECONDS, Target, ours, pebble
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from measuring import arguments, cpu_seconds, percentile, print_facts, print_table, ratio

STEPS = ("newOrder", "finalize", "poll", "certificate")
HEAD = ("server", "clients", "orders/s", "of pebble", "p50 ms", "p99 ms", "CPU ms")
STEP_HEAD = ("server", "clients", *(f"{step} p50 ms" for step in STEPS), "polls")
PROCESSES = 2


def main() -> None:
    """Measure both in turns."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        print_facts(__doc__, folder)
        rows: list[tuple[object, ...]] = []
        steps: list[tuple[object, ...]] = []
        with pebble(folder) as peer, ours(folder) as own:
            for clients in options.clients:
                peer_figures = measured(peer, clients, options.seconds)
                own_figures = measured(own, clients, options.seconds)
                for server, figures in (("pebble", peer_figures), ("pikaserver", own_figures)):
                    compared = ratio(figures.rate, peer_figures.rate)
                    rows.append((server, clients, figures.rate, compared, *figures.latencies()))
                    steps.append((server, clients, *figures.steps()))
        print_table(HEAD, rows)
        print_table(STEP_HEAD, steps)


@dataclass
class Figures:
    """What came of one part: seconds of every order and of every step in it."""

    seconds: float
    orders: list[float] = field(default_factory=list)
    of_steps: dict[str, list[float]] = field(default_factory=lambda: {one: [] for one in STEPS})
    used: float = 0.0

    @property
    def rate(self) -> float:
        """Whole orders per second."""
        return len(self.orders) / self.seconds

    def latencies(self) -> tuple[float, float, float]:
        """Return two percentiles of an order, and the server's CPU time for one, in ms."""
        return (
            percentile(sorted(self.orders), 0.5) * 1000,
            percentile(sorted(self.orders), 0.99) * 1000,
            self.used / max(1, len(self.orders)) * 1000,
        )

    def steps(self) -> tuple[float, ...]:
        """Return the median of each step in ms, and how many polls an order took."""
        medians = (percentile(sorted(self.of_steps[one]) or [0.0], 0.5) * 1000 for one in STEPS)
        return (*medians, len(self.of_steps["poll"]) / max(1, len(self.orders)))

    def add(self, other: "Figures") -> None:
        """Take in what another process saw."""
        self.orders += other.orders
        for name, found in other.of_steps.items():
            self.of_steps[name] += found


def measured(target: Target, clients: int, seconds: float) -> Figures:
    """Return what so many clients saw, from several processes."""
    shares = [clients // PROCESSES + (n < clients % PROCESSES) for n in range(PROCESSES)]
    shares = [share for share in shares if share]
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(len(shares) + 1)
    results = context.Queue()
    workers = [
        context.Process(target=_work, args=(target.directory, share, seconds, begin, results))
        for share in shares
    ]
    for worker in workers:
        worker.start()
    begin.wait()
    before = cpu_seconds(target.pid)
    found = Figures(seconds)
    for _ in workers:
        found.add(results.get())
    found.used = cpu_seconds(target.pid) - before
    for worker in workers:
        worker.join()
    return found


def _work(directory: str, clients: int, seconds: float, begin, results) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - multiprocessing's own types
    made = [Client(directory) for _ in range(clients)]
    for client in made:
        client.register()
        client.order(Figures(seconds))
    begin.wait()
    figures = Figures(seconds)
    ends = time.perf_counter() + seconds

    def run(client: "Client") -> None:
        while time.perf_counter() < ends:
            client.order(figures)

    threads = [threading.Thread(target=run, args=(client,)) for client in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(figures)


class Client:
    """One account with a connection of its own; it signs with the bare library."""

    def __init__(self, directory: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = ""
        self._nonce = ""
        self._name = f"{os.urandom(6).hex()}.example.com"
        self._csr = _csr(self._name)
        place = urlsplit(directory)
        # Whose certificate it is does not matter for what is measured.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - loopback, measured only
        self._line = http.client.HTTPSConnection(
            place.hostname or "", place.port, context=context, timeout=PATIENCE_SECONDS
        )
        self._urls: Mapping[str, str] = json.loads(self._ask("GET", directory)[1])
        self._ask("HEAD", self._urls["newNonce"])

    def register(self) -> None:
        """Open the account."""
        headers, _ = self.post(self._urls["newAccount"], {"termsOfServiceAgreed": True})
        self._kid = headers["location"]

    def order(self, figures: Figures) -> None:
        """Make one whole order."""
        began = time.perf_counter()
        wish = {"identifiers": [{"type": "dns", "value": self._name}]}
        headers, order = self._timed(figures, "newOrder", self._urls["newOrder"], wish)
        url = headers["location"]
        if order["status"] == "pending":
            self._prove(order["authorizations"][0])
        _, order = self._timed(figures, "finalize", order["finalize"], {"csr": self._csr})
        while order["status"] in {"ready", "processing"}:
            _, order = self._timed(figures, "poll", url, None)
        self._timed(figures, "certificate", order["certificate"], None)
        figures.orders.append(time.perf_counter() - began)

    def post(self, url: str, payload: object) -> tuple[Mapping[str, str], bytes]:
        """Send a signed request."""
        header = {"alg": "ES256", "nonce": self._nonce, "url": url}
        who = {"kid": self._kid} if self._kid else {"jwk": self._jwk()}
        octets = b"" if payload is None else json.dumps(payload).encode()
        protected, body = _b64(json.dumps(header | who).encode()), _b64(octets)
        r, s = decode_dss_signature(
            self._key.sign(f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
        )
        signature = _b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        envelope = {"protected": protected, "payload": body, "signature": signature}
        return self._ask("POST", url, json.dumps(envelope).encode())

    def _timed(self, figures: Figures, step: str, url: str, payload: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - JSON
        began = time.perf_counter()
        headers, octets = self.post(url, payload)
        figures.of_steps[step].append(time.perf_counter() - began)
        return headers, octets if step == "certificate" else json.loads(octets)

    def _prove(self, url: str) -> None:
        """Say that a challenge is ready, where the peer wants to hear it once."""
        authorization = json.loads(self.post(url, None)[1])
        self.post(authorization["challenges"][0]["url"], {})
        while json.loads(self.post(url, None)[1])["status"] == "pending":
            time.sleep(0.01)

    def _ask(
        self, method: str, url: str, body: bytes | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        path = urlsplit(url).path
        self._line.request(method, path, body, {"Content-Type": "application/jose+json"})
        answer = self._line.getresponse()
        octets = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        self._nonce = headers.get("replay-nonce", self._nonce)
        if answer.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {url}: {answer.status} {octets[:500]!r}")
        return headers, octets

    def _jwk(self) -> Mapping[str, str]:
        numbers = self._key.public_key().public_numbers()
        x, y = (_b64(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _csr(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return _b64(csr.public_bytes(Encoding.DER))


if __name__ == "__main__":
    main()
