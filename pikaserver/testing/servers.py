"""Whole servers for tests: in this process with a frozen clock, or as a process of their own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.server import PkiServer
from pikaserver.settings.loading import load
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.ports import PORTS

HOSTNAME = "pki.example.test"
_PROGRAM = (sys.executable, "-m", "pikaserver.cli")
_START_SECONDS = 150
_CRL_SECONDS = 60
"""The minute within which a revocation has to be on a CRL."""
_ANSWER_SECONDS = 60


@contextlib.contextmanager
def make_server(
    folder: Path,
    *,
    clock: FrozenClock | None = None,
    key_type: str = "ec-p256",
    environment: Mapping[str, str] | None = None,
    database_url: str | None = None,
) -> Iterator[PkiServer]:
    """Set up a two-level PKI in a folder and open it, without any socket.

    Settings come from the given environment only.  Without a URL the database is SQLite in
    that folder.
    """
    clock = clock or FrozenClock()
    environment = dict(environment or {})
    if database_url is not None:
        environment["PIKASERVER__DATABASE__URL"] = database_url
    wishes = FirstStart(data=folder, hostname=HOSTNAME, key_type=key_type)
    set_up(wishes, environment, clock)
    settings = load(environment, data=folder)
    with open_server(settings, environment, clock=clock) as server:
        yield server


@dataclass(slots=True)
class ServerProcess:
    """``pikaserver up`` in a process of its own, on free ports of the loopback.

    ``wrapper`` is a program that starts it, such as ``setpriv``, and its arguments.  One that is
    ``set_up`` already, on these ports, is served by ``pikaserver run``.
    """

    data: Path
    http_port: int
    https_port: int
    arguments: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    set_up: bool = False
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def http(self) -> str:
        """Base URL of the plain listener."""
        return f"http://{HOSTNAME}:{self.http_port}"

    @property
    def https(self) -> str:
        """Base URL of the TLS listener."""
        return f"https://{HOSTNAME}:{self.https_port}"

    @property
    def curl(self) -> list[str]:
        """What lets curl find the server under its name."""
        return [
            word
            for port in (self.http_port, self.https_port)
            for word in ("--resolve", f"{HOSTNAME}:{port}:127.0.0.1")
        ]

    def begin(self) -> None:
        """Start and wait for nothing."""
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        words = [
            "up", "--yes", "--http", f"127.0.0.1:{self.http_port}",
            "--https", f"127.0.0.1:{self.https_port}", "--hostname", HOSTNAME, *self.arguments,
        ]  # fmt: skip
        if self.set_up:
            words = ["run", *self.arguments]
        command = [*self.wrapper, *_PROGRAM, *words, "--data", str(self.data)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))  # noqa: S603 - our own program
        log.close()

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            RuntimeError: it does not; the text is what it printed.
        """
        self.begin()
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise RuntimeError(self.log()[-4000:])
            time.sleep(0.05)

    def stop(self) -> int:
        """Let it end by itself and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Return what it printed."""
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")

    def command(self, *words: str) -> str:
        """Run ``pikaserver WORDS --data ...`` beside it and return what it prints."""
        command = [*_PROGRAM, *words, "--data", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
        return done.stdout

    def code(self, template: str = "device", uses: int = 1) -> tuple[str, str]:
        """Make an enrolment code and return its user and secret."""
        words = ("--template", template, "--uses", str(uses), "-o", "json")
        made = json.loads(self.command("code", "create", *words))
        return made["user"], made["code"]

    def get(self, path: str) -> bytes:
        """Return what the plain listener answers to GET, whatever the status."""
        address = f"http://127.0.0.1:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(address, timeout=_ANSWER_SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.read()

    def wait_for_crl(self, *serials: int, authority: str = "issuing") -> bytes:
        """Return the first CRL in DER that names all these serials.

        Raises:
            TimeoutError: it does not come within a minute.
        """
        deadline = time.monotonic() + _CRL_SECONDS
        missing = set(serials)
        while time.monotonic() < deadline:
            der = self.get(f"/crl/{authority}.crl")
            revoked = {entry.serial_number for entry in x509.load_der_x509_crl(der)}
            missing = set(serials) - revoked
            if not missing:
                return der
            time.sleep(0.1)
        raise TimeoutError(f"{len(missing)} revoked serials are not on the CRL")

    def _answers(self) -> bool:
        """Tell whether both listeners take connections; they start one after the other."""
        url = f"http://127.0.0.1:{self.http_port}/livez"
        try:
            socket.create_connection(("127.0.0.1", self.https_port), timeout=1).close()
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004 - OK
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(timeout=60)
        finally:
            # One that does not end is a fault, and shall not outlive the test that finds it.
            process.kill()
            process.wait()


@contextlib.contextmanager
def running_server(folder: Path, *arguments: str) -> Iterator[ServerProcess]:
    """Give a server that answers, and stop it at the end."""
    server = ServerProcess(folder / "data", free_port(), free_port(), arguments)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """Return a port of the loopback on which nobody listens, and nobody else will."""
    return PORTS.take()
