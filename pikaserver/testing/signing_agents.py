"""Signing agents as processes: enrolled, started, stopped, killed, and their journals read."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pikaserver.testing.patience import until
from pikaserver.testing.servers import ServerProcess

_START = (sys.executable, "-c", "from hsm_agent.cli.main import main; main()")
_SECONDS = 60.0
_EACH = 0.05


@dataclass(slots=True)
class SigningAgent:
    """``hsm-agent run`` in a process of its own.

    ``wrapper`` is a program that starts it, such as ``nsenter``, and its arguments;
    ``environment`` is what it finds besides ours.
    """

    name: str
    data: Path
    wrapper: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def number(self) -> int:
        """The id of its process, 0 while it does not run."""
        return 0 if self.process is None else self.process.pid

    def enroll(self, server: ServerProcess, *options: str) -> None:
        """Register at a server; ``options`` are those of ``hsm-agent enroll``."""
        made = json.loads(server.command("agent", "enroll", self.name, "-o", "json"))
        self.command("enroll", made["code"], *options)

    def command(self, *words: str) -> str:
        """Run ``hsm-agent WORDS --data ...`` beside it and return what it prints.

        Raises:
            RuntimeError: it failed; the text is what it said.
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [*self.wrapper, *_START, *words, "--data", str(self.data)],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start and wait for nothing; `await_line` waits for a server."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [*self.wrapper, *_START, "run", "--data", str(self.data)],
                env=self._environment(),
                stdout=log,
                stderr=log,
            )

    def await_line(self, *servers: ServerProcess) -> None:
        """Wait until these servers may ask it.

        Raises:
            TimeoutError: they may not; the text holds what the agent said.
        """
        for server in servers:
            try:
                until(partial(_is_ready, server, self.name), "the line", _SECONDS)
            except TimeoutError as error:
                raise TimeoutError(f"{self.name}: {error}: {self.log()[-2000:]}") from None

    def stop(self) -> int:
        """Let it end by itself and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it stand still, as a hanging host does."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on from where it stood."""
        self._send(signal.SIGCONT)

    def log(self) -> str:
        """Return what it printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def journal(self) -> Sequence[Mapping[str, object]]:
        """Return the lines of its journal."""
        return [
            json.loads(line)
            for file in sorted((self.data / "journal").glob("*.jsonl"))
            for line in file.read_bytes().splitlines()
        ]

    @property
    def _log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, **self.environment}

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        code = self.process.wait(_SECONDS)
        self.process = None
        return code


def _is_ready(server: ServerProcess, agent: str) -> bool:
    if agent in ready_agents(server):
        return True
    time.sleep(_EACH)  # each look is a request that the server logs
    return False


def ready_agents(server: ServerProcess) -> Mapping[str, int]:
    """Return the agents that a server can ask by a line of its own, and how many it asks now."""
    found = {}
    for line in server.get("/metrics").decode().splitlines():
        if line.startswith("pikaserver_agent_in_flight{"):
            label, value = line.rsplit(" ", 1)
            found[label.split('"')[1]] = int(float(value))
    return found
