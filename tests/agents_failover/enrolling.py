"""Devices that enrol all the time over EST, each client at a node of its own, and what they got."""

import base64
import http.client
import itertools
import ssl
import statistics
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

from pikaserver.asn1.cms import read_certificates_only
from tests.faults.load import request

TIME_LIMIT_SECONDS = 120
SLOWER = 40
"""A usual answer takes less than a fifth of a second: by that nothing is allowed longer."""


@dataclass(frozen=True)
class Enrolment:
    """One answer: ``node`` counts from 0, times are monotonic seconds."""

    node: int
    began: float
    ended: float
    status: int
    text: str
    retry_after: str | None
    certificate: bytes | None

    @property
    def took(self):
        return self.ended - self.began


@dataclass
class Enrolling:
    """What all clients have got so far; ``cuts`` are lines that broke before an answer came."""

    nodes: list
    code: tuple[str, str]
    template: str
    answers: list[Enrolment] = field(default_factory=list)
    cuts: int = 0

    def __post_init__(self):
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._numbers = itertools.count()
        self._clients = []
        self._trust = ssl.create_default_context(
            cadata=self.nodes[0].get("/ca/root.pem").decode("ascii")
        )

    def line(self, node, client=0):
        """Return a connection to a node, which is not open yet."""
        return http.client.HTTPSConnection(
            "127.0.0.1",
            self.nodes[node].https_port,
            context=self._trust,
            timeout=TIME_LIMIT_SECONDS,
            source_address=(f"127.0.0.{client % 200 + 2}", 0),
        )

    def enrol(self, line, node, body=None):
        """Enrol one device on a connection that may be open already, and keep the answer.

        Raises:
            OSError: the line broke.
            HTTPException: it broke within the answer.
        """
        body = body or request(f"device-{next(self._numbers)}")
        credentials = base64.b64encode(":".join(self.code).encode()).decode()
        headers = {"Content-Type": "application/pkcs10", "Authorization": f"Basic {credentials}"}
        began = time.monotonic()
        line.request("POST", f"/.well-known/est/{self.template}/simpleenroll", body, headers)
        answer = line.getresponse()
        text = answer.read()
        certificate = None
        if answer.status == http.client.OK:
            (certificate,) = read_certificates_only(base64.b64decode(text))
        retry = answer.headers["Retry-After"]
        got = Enrolment(
            node, began, time.monotonic(), answer.status, text.decode(), retry, certificate
        )
        with self._lock:
            self.answers.append(got)
        return got

    def once(self, node=0):
        """Enrol one device on a line of its own."""
        line = self.line(node)
        try:
            return self.enrol(line, node)
        finally:
            line.close()

    def client(self, number):
        """Enrol one device after the other; where a node is gone, go to the next one."""
        node = number % len(self.nodes)
        line, body = self.line(node, number), None
        while not self._ended.is_set():
            body = body or request(f"device-{next(self._numbers)}")
            try:
                self.enrol(line, node, body)
                body = None
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.cuts += 1
                line.close()
                node = (node + 1) % len(self.nodes)
                line = self.line(node, number)
        line.close()

    def start(self, clients):
        """Let so many clients begin."""
        self._clients = [
            threading.Thread(target=self.client, args=(one,)) for one in range(clients)
        ]
        for client in self._clients:
            client.start()

    def end(self):
        """Let each client finish what it began, and wait for the last answer."""
        self._ended.set()
        for client in self._clients:
            client.join()

    def await_more(self, number, *, seconds=60):
        """Wait until so many more devices have their certificates."""
        enough = self.issued() + number
        deadline = time.monotonic() + seconds
        while self.issued() < enough:
            assert time.monotonic() < deadline, self.statuses()
            time.sleep(0.02)

    def bound(self, seconds):
        """Return a bound for what comes now: so long, longer where each answer takes long anyway.

        A machine that has much else to do is slow at this as well; an idle one gets no more.
        """
        return max(seconds, SLOWER * statistics.median(one.took for one in list(self.answers)))

    def issued(self):
        """Return how many certificates came."""
        return sum(1 for one in list(self.answers) if one.certificate)

    def statuses(self):
        """Return how often which status came."""
        return Counter(one.status for one in list(self.answers))

    def certificates(self):
        """Return what was received, in DER."""
        return [one.certificate for one in self.answers if one.certificate]

    def longest_gap(self, after):
        """Return the longest time without any certificate behind a moment, and what one took."""
        moments = sorted(one.ended for one in self.answers if one.certificate)
        behind = [after, *(moment for moment in moments if moment > after)]
        gaps = [later - earlier for earlier, later in itertools.pairwise(behind)]
        took = max(one.took for one in self.answers if one.ended > after)
        return max(gaps, default=float("inf")), took


@contextmanager
def enrolling(cluster, code, template, clients=8):
    """Let clients enrol at all nodes until the block ends, and wait for their last answers."""
    devices = Enrolling(cluster.nodes, code, template)
    devices.start(clients)
    try:
        yield devices
    finally:
        devices.end()
