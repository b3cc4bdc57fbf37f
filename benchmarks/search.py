"""Searching among 100,000 certificates: each query against the same one in a small store."""

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from filling import fill
from measuring import arguments, print_facts, print_table, ratio

from pikaserver.api.certificates import CertificateQuery, CertificateStatus
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.server import PkiServer
from pikaserver.settings.loading import load

SMALL, LARGE = 1_000, 100_000


def main() -> None:
    """Ask the same questions of both stores."""
    parser = arguments(__doc__)
    parser.add_argument("--certificates", type=int, default=LARGE)
    options = parser.parse_args()
    times = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print_facts(__doc__)
        for count in (SMALL, options.certificates):
            data = Path(folder) / str(count)
            set_up(FirstStart(data, hostname="pki.example.test"), {}, system_clock)
            with open_server(load({}, data=data), {}) as server:
                fill(server, count)
                times.append(_times(server, options.seconds))
    rows = [
        (name, times[0][name] * 1000, taken * 1000, ratio(taken, times[0][name]))
        for name, taken in times[1].items()
    ]
    print_table(("query", f"ms of {SMALL:,}", f"ms of {options.certificates:,}", "ratio"), rows)


def _times(server: PkiServer, seconds: float) -> dict[str, float]:
    """Return the median time of each query."""
    some = server.certificates.find(CertificateQuery(limit=500))[-1]
    valid = CertificateStatus.VALID
    soon = server.clock() + timedelta(days=365, seconds=200)
    queries = {
        "newest page of 100": CertificateQuery(),
        "serial": CertificateQuery(serial=some.serial),
        "fingerprint": CertificateQuery(fingerprint=some.fingerprint),
        "name": CertificateQuery(name=some.names[0]),
        "part of the subject (scan)": CertificateQuery(subject=some.subject, limit=10),
        "template, page of 10": CertificateQuery(template="device", limit=10),
        "valid, expiring soon": CertificateQuery(status=valid, expires_before=soon, limit=10),
    }
    share = seconds / len(queries)
    return {name: _median(server, query, share) for name, query in queries.items()}


def _median(server: PkiServer, query: CertificateQuery, seconds: float) -> float:
    taken: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or not taken:
        at = time.perf_counter()
        server.certificates.find(query)
        taken.append(time.perf_counter() - at)
    return median(taken)


if __name__ == "__main__":
    main()
