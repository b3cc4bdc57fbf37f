"""Starts ``agent_load.py``, the server's side of a house, and has it measure."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_houses import House

ALGORITHMS = {"rsa-2048": "rsa-sha256", "ec-p256": "ecdsa-sha256"}
END_SECONDS = 30


@dataclass(frozen=True)
class Figures:
    """What came of asking for a while; seconds, sorted where there are several."""

    rate: float
    latencies: list[float]
    cpu: float
    """CPU seconds of the server for one signature."""
    pause: float
    """The longest time in which nobody got an answer."""
    faults: list[str]


@dataclass(frozen=True)
class Event:
    """What happens so many seconds after the beginning."""

    after: float
    deed: Callable[[], object]


Measure = Callable[..., Figures]
"""Called with clients, seconds, and an event or none."""


@contextlib.contextmanager
def asking(house: House) -> Iterator[Measure]:
    """Give what measures with so many clients for so many seconds; the server stands still."""
    words = (str(house.server.data), house.reference, ALGORITHMS[house.key.key_type])
    script = Path(__file__).with_name("agent_load.py")
    log = house.folder / "load.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*house.enter, sys.executable, str(script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(os.environ),
        )
    with process:
        yield _Measuring(process, log)
        if process.stdin is not None:
            process.stdin.close()
        process.wait(END_SECONDS)


class _Measuring:
    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log

    def __call__(self, clients: int, seconds: float, event: Event | None = None) -> Figures:
        asked = self._process.stdin
        if asked is None:
            raise RuntimeError("the process cannot be told anything")
        asked.write(f"{clients} {seconds}\n")
        asked.flush()
        self._line()  # the agent can be asked, it begins
        if event is not None:
            timer = threading.Timer(event.after, event.deed)
            timer.start()
            timer.join()
        return Figures(**json.loads(self._line()))

    def _line(self) -> Any:  # noqa: ANN401 - as JSON has it
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._log.read_text()[-3000:])
        return line
