"""Start and idle memory of ``pikaserver up``, and what short commands take.

The limit is Python importing the libraries that a command needs, and nothing else.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measuring import arguments, memory_mib, print_facts, print_table, ratio

from pikaserver.testing.servers import ServerProcess, running_server

LIBRARIES = "import click, cryptography.x509, falcon, pluggy, pydantic, sqlalchemy, tomlkit"


def main() -> None:
    """Measure each a few times; the median counts."""
    options = arguments(__doc__).parse_args()
    times = max(3, int(options.seconds))
    with tempfile.TemporaryDirectory(dir=".") as folder, running_server(Path(folder)) as server:
        print_facts(__doc__)
        memory = memory_mib(server.process.pid if server.process else 0)
        server.stop()
        starts = [_start(server) for _ in range(times)]
        server.start()
        data = str(server.data)
        words = ["-m", "pikaserver.cli"]
        limit = _command(times, "-c", LIBRARIES)
        rows = [
            ("import the libraries", *limit, 1.0),
            *(
                (name, *taken, ratio(taken[1], limit[1]))
                for name, taken in (
                    ("pikaserver --help", _command(times, *words, "--help")),
                    ("pikaserver ca list", _command(times, *words, "ca", "list", "--data", data)),
                    (
                        "pikaserver cert list",
                        _command(times, *words, "cert", "list", "--data", data),
                    ),
                )
            ),
        ]
    print_table(("command", "seconds", "CPU seconds", "CPU ratio"), rows)
    print(f"second start of 'pikaserver up' until it answers: {median(starts):.2f} s")
    print(f"idle memory: {memory:.0f} MiB")


def _start(server: ServerProcess) -> float:
    began = time.perf_counter()
    server.start()
    passed = time.perf_counter() - began
    server.stop()
    return passed


def _command(times: int, *words: str) -> tuple[float, float]:
    """Return the seconds that passed, and those of CPU."""
    passed, cpu = [], []
    for _ in range(times):
        began, used = time.perf_counter(), _children_cpu()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        passed.append(time.perf_counter() - began)
        cpu.append(_children_cpu() - used)
    return median(passed), median(cpu)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
