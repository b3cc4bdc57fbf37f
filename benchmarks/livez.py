"""Plain HTTP with kept connections: ``/livez`` against an application of three lines.

The peer runs on waitress as performance-minded people set it up (poll, head and body in one
system call), with as many threads; what it lacks is our strict reading, headers, log line.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from load import Load, run
from measuring import arguments, cpu_seconds, print_facts, print_table, ratio
from wishes import plain

from pikaserver.testing.servers import HOSTNAME, free_port, running_server

HELLO = """
import sys, waitress
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\\n"]
waitress.serve(application, host="127.0.0.1", port=int(sys.argv[1]), threads=8,
               asyncore_use_poll=True, send_bytes=18000, _quiet=True)
"""


def main() -> None:
    """Measure both in turns, with 1 and 8 clients."""
    options = arguments(__doc__).parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory(dir=".") as folder, running_server(Path(folder)) as server:
        print_facts(__doc__)
        hello = subprocess.Popen([sys.executable, "-W", "ignore", "-c", HELLO, str(port)])
        try:
            pid = server.process.pid if server.process else 0
            rows = []
            for clients in (1, 8):
                ours = _measured(pid, server.http_port, "/livez", clients, options.seconds)
                tls = _measured(
                    pid, server.https_port, "/livez", clients, options.seconds, tls=True
                )
                peer = _measured(hello.pid, port, "/", clients, options.seconds)
                rows += [
                    (clients, "bare waitress", *peer, ratio(1, 1)),
                    (clients, "pikaserver", *ours, ratio(ours[1], peer[1])),
                    (clients, "pikaserver, TLS", *tls, ratio(tls[1], peer[1])),
                ]
            print_table(("clients", "server", "requests/s", "CPU us", "CPU ratio"), rows)
        finally:
            hello.terminate()
            hello.wait()


def _measured(
    pid: int, port: int, path: str, clients: int, seconds: float, *, tls: bool = False
) -> tuple[float, float]:
    requests = [plain(path, HOSTNAME)]
    run(Load(port, requests, clients, 0.3, tls=tls))
    used = cpu_seconds(pid)
    outcome = run(Load(port, requests, clients, seconds, tls=tls))
    return outcome.rate, (cpu_seconds(pid) - used) / max(1, outcome.answers) * 1e6


if __name__ == "__main__":
    main()
