"""Verifying the audit trail: records per second against hashing the same octets alone."""

import hashlib
import tempfile
import time
from pathlib import Path

from filling import fill_trail
from measuring import arguments, print_facts, print_table, ratio

from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.storage import audit

RECORDS = 50_000


def main() -> None:
    """Fill a trail, verify it, and hash as many lines of the same length."""
    parser = arguments(__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print_facts(__doc__)
        data = Path(folder) / "data"
        set_up(FirstStart(data, hostname="pki.example.test"), {}, system_clock)
        with open_server(load({}, data=data), {}) as server:
            began = time.perf_counter()
            fill_trail(server, options.records)
            appended = options.records / (time.perf_counter() - began)
            began = time.perf_counter()
            with server.database.reading() as connection:
                report = audit.verify(connection)
                line = next(audit.export(connection)).encode()
            verified = report.records / (time.perf_counter() - began)
    if report.problem is not None:
        raise RuntimeError(report.problem)
    began, head = time.perf_counter(), bytes(32)
    for _ in range(report.records):
        head = hashlib.sha256(head + line).digest()
    hashed = report.records / (time.perf_counter() - began)
    print_table(
        ("", "records/s", "of hashing alone"),
        [
            ("hashing alone", hashed, "1.00"),
            ("verify", verified, ratio(verified, hashed)),
            ("append in one transaction", appended, ratio(appended, hashed)),
        ],
    )


if __name__ == "__main__":
    main()
