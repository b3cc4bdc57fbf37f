"""CPU time of one enrolment inside the process, without HTTP and TLS, against the limit's.

Both run in turns of a few certificates, so that whatever else the machine does meets both.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from limit import Limit
from measuring import arguments, print_facts, print_table, ratio
from wishes import make_csrs

from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.asn1.csr import read_csr
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.server import PkiServer
from pikaserver.settings.loading import load

TURN = 20


def main() -> None:
    """Measure as many turns as there is time for."""
    options = arguments(__doc__).parse_args()
    csrs = make_csrs(1000)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print_facts(__doc__, Path(folder))
        data = Path(folder) / "data"
        set_up(FirstStart(data, hostname="pki.example.test"), {}, system_clock)
        limit = Limit(Path(folder))
        with open_server(load({}, data=data), {}) as server:
            enroll = enroller(server)
            ours, other = turns((enroll, lambda csr: limit.issue([csr])), csrs, options.seconds)
    print_table(
        ("", "CPU us", "best turn us"),
        [
            ("enrolment", median(ours) * 1e6, min(ours) * 1e6),
            ("limit", median(other) * 1e6, min(other) * 1e6),
            ("ratio", ratio(median(ours), median(other)), ratio(min(ours), min(other))),
        ],
    )


def enroller(server: PkiServer) -> Callable[[bytes], object]:
    """Return what enrols one CSR under a counted code."""
    code = server.codes.find(server.codes.create("device", "bench", uses=1_000_000).user)
    if code is None:
        raise RuntimeError("the code that was just made is not there")
    requester = Requester(
        f"code:{code.user}", "code", templates=frozenset({"device"}), proof=code.proof
    )

    def enroll(csr: bytes) -> object:
        return server.enroll(EnrollmentRequest(read_csr(csr), requester, "device", "est"))

    return enroll


def turns(
    deeds: Sequence[Callable[[bytes], object]], csrs: Sequence[bytes], seconds: float
) -> list[list[float]]:
    """Return the CPU seconds of each deed in each turn, for one CSR."""
    found: list[list[float]] = [[] for _ in deeds]
    began, at = time.monotonic(), 0
    while time.monotonic() - began < seconds or not found[0]:
        some = [csrs[(at + number) % len(csrs)] for number in range(TURN)]
        at += TURN
        for deed, times in zip(deeds, found, strict=True):
            cpu = time.process_time()
            for csr in some:
                deed(csr)
            times.append((time.process_time() - cpu) / TURN)
    return found


if __name__ == "__main__":
    main()
