"""EST enrolments per second over TLS against the limit, with 1, 8 and 32 clients.

The server is ``pikaserver up`` with its defaults (SQLite, durable) in a process of its own.
"""

import json
import tempfile
from pathlib import Path

from limit import Limit
from load import Load, Outcome, run
from measuring import (
    arguments,
    cpu_seconds,
    memory_mib,
    percentile,
    print_facts,
    print_table,
    ratio,
)
from wishes import enrollment, make_csrs

from pikaserver.testing.servers import HOSTNAME, ServerProcess, running_server

HEAD = (
    "clients", "connections", "certificates/s", "limit/s", "of the limit", "p50 ms", "p99 ms",
    "server CPU ms", "limit CPU ms", "ratio",
)  # fmt: skip
CSRS = 2000


def main() -> None:
    """Measure, and tell lost or doubled answers."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    csrs = make_csrs(CSRS)
    with tempfile.TemporaryDirectory(dir=".") as folder, running_server(Path(folder)) as server:
        print_facts(__doc__, Path(folder))
        limit = Limit(Path(folder))
        code = json.loads(
            server.command("code", "create", "--template", "device", "--uses", "1000000",
                           "-o", "json")
        )  # fmt: skip
        requests = [enrollment(csr, HOSTNAME, code["user"], code["code"]) for csr in csrs]
        bench = _Bench(server, limit, csrs, requests, options.seconds)
        bench.outcome(1, 0.5)
        before = bench.memory()
        loads = [(clients, False) for clients in options.clients]
        loads.append((max(options.clients), True))
        print_table(HEAD, [bench.row(clients, new=new) for clients, new in loads])
        bench.print_losses()
        print(f"server memory: {before:.0f} MiB before, {bench.memory():.0f} MiB after")


class _Bench:
    def __init__(
        self,
        server: ServerProcess,
        limit: Limit,
        csrs: list[bytes],
        requests: list[bytes],
        seconds: float,
    ) -> None:
        self._server = server
        self._limit = limit
        self._csrs = csrs
        self._requests = requests
        self._seconds = seconds
        self._total = Outcome()

    def outcome(self, clients: int, seconds: float, *, new: bool = False) -> Outcome:
        """Enrol for so many seconds."""
        load = Load(self._server.https_port, self._requests, clients, seconds, new_connections=new)
        outcome = run(load)
        self._total.add(outcome)
        return outcome

    def row(self, clients: int, *, new: bool) -> list[object]:
        """Measure half of the limit before the server and half of it after."""
        first, first_cpu = self._limit.rate(self._csrs, clients, self._seconds / 2)
        used = cpu_seconds(self._pid)
        outcome = self.outcome(clients, self._seconds, new=new)
        cpu = (cpu_seconds(self._pid) - used) / max(1, outcome.answers)
        second, second_cpu = self._limit.rate(self._csrs, clients, self._seconds / 2)
        limit, limit_cpu = (first + second) / 2, (first_cpu + second_cpu) / 2
        return [
            clients,
            "new" if new else "kept",
            outcome.rate,
            limit,
            ratio(outcome.rate, limit),
            percentile(outcome.latencies, 0.5) * 1000,
            percentile(outcome.latencies, 0.99) * 1000,
            cpu * 1000,
            limit_cpu * 1000,
            ratio(cpu, limit_cpu),
        ]

    def memory(self) -> float:
        """Return the server's memory in MiB."""
        return memory_mib(self._pid)

    @property
    def _pid(self) -> int:
        if self._server.process is None:
            raise RuntimeError("the server does not run")
        return self._server.process.pid

    def print_losses(self) -> None:
        """Compare what the clients got with what the database holds."""
        total = self._total
        listed = self._server.command("audit", "export", "--event", "certificate.issued")
        # What the server issued for itself and its own authorities is not in the list.
        stored = sum(1 for line in listed.splitlines() if '"actor":"code:' in line)
        others = {status: count for status, count in total.statuses.items() if status != 200}  # noqa: PLR2004 - OK
        print(
            f"{total.answers:,} certificates received, {len(total.bodies):,} different ones,"
            f" {stored:,} in the database; {total.broken} broken lines, other answers {others}"
        )


if __name__ == "__main__":
    main()
