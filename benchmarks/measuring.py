"""What all benchmarks share: facts of the machine, processes seen from outside, tables."""

import argparse
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cryptography
from cryptography.hazmat.backends.openssl import backend

_TICKS = os.sysconf("SC_CLK_TCK")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the one option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3, help="how long each part runs")
    return parser


def print_facts(title: str | None, folder: Path | None = None) -> None:
    """Print what a figure depends on; the disk is that of a folder."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if "model name" in line
        ),
        platform.machine(),
    )
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"# {(title or '').partition(chr(10))[0]}")
    print(f"# {os.cpu_count()} x {model}; load {load}; Linux {platform.release()}")
    print(
        f"# Python {platform.python_version()}, cryptography {cryptography.__version__},"
        f" {backend.openssl_version_text()}, SQLite {sqlite3.sqlite_version}"
    )
    if folder is not None:
        print(f"# {durable_commits(folder):,.0f} durable commits/s of one row by one client")
    print()


def durable_commits(folder: Path, seconds: float = 0.5) -> float:
    """Return how many single-row transactions per second this disk makes durable."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        connection = sqlite3.connect(Path(inside) / "disk.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE row (octets BLOB)")
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            connection.execute("INSERT INTO row VALUES (?)", (bytes(500),))
            done += 1
        rate = done / (time.perf_counter() - began)
        connection.close()
    return rate


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns, numbers to the right."""
    lines = [list(map(str, head)), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells))
    print(flush=True)


def _text(cell: object) -> str:
    return f"{cell:,.3g}" if isinstance(cell, float) and abs(cell) < 100 else _whole(cell)  # noqa: PLR2004 - three digits


def _whole(cell: object) -> str:
    return f"{cell:,.0f}" if isinstance(cell, int | float) else str(cell)


def ratio(ours: float, other: float) -> str:
    """Return ours over the other's, which is what a reader shall compare."""
    return f"{ours / other:.2f}" if other else "-"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and not collected."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in found for child in one.read_text(encoding="ascii").split()]


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    return _status_mib(pid, "VmRSS:")


def peak_memory_mib(pid: int) -> float:
    """Return the most memory that a process ever had; getrusage would count its parent's, too."""
    return _status_mib(pid, "VmHWM:")


def _status_mib(pid: int, name: str) -> float:
    for line in _lines(f"/proc/{pid}/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0  # it has ended


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which this part of the sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
