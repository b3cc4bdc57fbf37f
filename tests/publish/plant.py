"""A running server, certificates that it issues, and the followers of its CRLs."""

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from pikaserver.first_start import bundled_plugins
from pikaserver.testing.servers import ServerProcess, running_server

ENABLED = f"[plugins]\nenabled = {json.dumps(sorted({*bundled_plugins(), 'publish'}))}\n"
FOLLOW = (sys.executable, "-m", "pikaserver.cli", "crl", "follow")
SECONDS = 60
"""Within a minute a revocation counts everywhere."""


@dataclass(frozen=True)
class Plant:
    """A server and what its machines need of it."""

    server: ServerProcess
    folder: Path

    @property
    def chain(self) -> Path:
        """The certificates of the CAs, in one file."""
        return self.folder / "chain.pem"

    def identity(self, name: str, template: str = "device") -> tuple[Path, Path]:
        """Return the paths of a certificate and its key; both begin with the name."""
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        words = ("--template", template, "--key-out", str(paths[1]), "--out", str(paths[0]))
        names = ("--dns", name) if template == "web" else ("--subject", f"CN={name}")
        self.server.command("cert", "issue", *words, *names)
        return paths

    def revoke(self, certificate: Path) -> None:
        """Revoke; the CRL comes within seconds."""
        serial = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
        self.server.command("cert", "revoke", f"{serial:x}", "--reason", "key-compromise", "--yes")

    def targets(self) -> dict[tuple[str, str], dict[str, object]]:
        """Return what ``publish list`` says, by target and item."""
        rows = json.loads(self.server.command("publish", "list", "-o", "json"))
        return {(row["target"], f"{row['what']} {row['authority']}"): row for row in rows}

    @contextlib.contextmanager
    def following(self, *words: object):
        """Let a process follow CRLs, every second."""
        log = self.folder / "follow.log"
        command = [str(word) for word in (*FOLLOW, *words, "--every", "1s")]
        with log.open("ab") as said, subprocess.Popen(command, stderr=said) as process:
            try:
                yield process
            finally:
                process.terminate()


@contextlib.contextmanager
def plant(folder: Path, settings: str = ""):
    """Give a plant whose server has some settings from the first moment on."""
    (folder / "data" / "conf.d").mkdir(parents=True)
    (folder / "data" / "conf.d" / "publish.toml").write_text(ENABLED + settings)
    with running_server(folder) as server:
        found = Plant(server, folder)
        found.chain.write_bytes(server.get("/downloads/chain"))
        yield found


def seconds_until(refused, seconds: float = SECONDS) -> float:
    """Return how long it took until something was so."""
    begun = time.monotonic()
    while not refused():
        if time.monotonic() - begun > seconds:
            raise TimeoutError("not in time")
        time.sleep(0.1)
    return time.monotonic() - begun


@contextlib.contextmanager
def site(folder: Path):
    """Give a plant with a certificate of a web server, and one of a machine that stays good."""
    with plant(folder) as found:
        found.identity("localhost", "web")
        found.identity("good")
        yield found
