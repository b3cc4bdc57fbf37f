"""EST clients that enrol one device after the other, and come again when they are told to."""

import http.client
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from cryptography import x509

from pikaserver.testing.patience import until
from tests.faults.load import Load, request

MOST_RETRIES = 200
AGAIN_SECONDS = 0.2
"""Less than Retry-After says: a test has no time."""


@dataclass
class Crowd:
    """What so many clients were answered; each device comes again until it has a certificate."""

    load: Load
    answers: list = field(default_factory=list)
    """Status and Retry-After of each answer, in their order."""
    enrolled: dict = field(default_factory=dict)
    """The serials of the certificates by device."""
    faults: list = field(default_factory=list)
    slowest: float = 0.0

    def __post_init__(self):
        self._lock = threading.Lock()
        self._going = threading.Event()
        self._going.set()

    def count(self, status):
        """Return how many answers had a status so far."""
        with self._lock:
            return Counter(status for status, _ in self.answers)[status]

    def wait_for(self, status, more=5, seconds=30):
        """Wait until so many more answers have a status."""
        wanted = self.count(status) + more
        until(lambda: self.count(status) >= wanted, f"{more} answers of {status}", seconds)

    @contextmanager
    def busy(self, clients=6):
        """Let so many clients work while the block runs; at its end each finishes its device."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._going.clear()
            for thread in threads:
                thread.join()

    def _work(self, client):
        device = 0
        while self._going.is_set():
            device += 1
            try:
                self._enrol(f"device-{client}-{device}", client)
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(error)
                return

    def _enrol(self, name, client):
        body = request(name)
        for _ in range(MOST_RETRIES):
            began = time.monotonic()
            reply = self.load.enrol(body, client)
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answers.append((reply.status, reply.retry_after))
            if reply.status != http.client.SERVICE_UNAVAILABLE:
                break
            time.sleep(AGAIN_SECONDS)
        with self._lock:
            self.enrolled[name] = reply.status

    def told(self):
        """Return the figures in one line."""
        waits = sorted({int(after) for _, after in self.answers if after})
        return (
            f"{self.count(200)} certificates, {self.count(503)} times 503 (Retry-After {waits} s),"
            f" slowest answer {self.slowest:.2f} s"
        )

    def check(self, issuer):
        """Assert that no device was lost, and none got two certificates."""
        assert [] == self.faults
        statuses = {status for status, _ in self.answers}
        assert {200, 503} >= statuses, statuses
        assert all(after for status, after in self.answers if status == 503)
        assert {200} == set(self.enrolled.values())
        stored = issued_by(self.load.server.data, issuer)
        assert self.enrolled.keys() == stored.keys()
        assert {1} == {len(serials) for serials in stored.values()}
        received = {
            x509.load_der_x509_certificate(der).serial_number for der in self.load.certificates
        }
        assert received >= {serial for serials in stored.values() for serial in serials}


def issued_by(data, issuer):
    """Return the serials of all certificates that an authority issued, by common name."""
    with closing(sqlite3.connect(data / "pikaserver.db")) as database:
        query = "SELECT certificate FROM certificate WHERE certificate IS NOT NULL"
        rows = database.execute(query).fetchall()
    found = defaultdict(list)
    for (der,) in rows:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.issuer.rfc4514_string().startswith(f"CN={issuer}"):
            name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
            found[name].append(certificate.serial_number)
    return found
