"""A running server, certificates of it, and openssl that asks about them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509

from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import ServerProcess, running_server


class House:
    """A running server, some certificates of it, and clients that ask about them."""

    def __init__(self, server: ServerProcess, folder: Path, openssl: str) -> None:
        self.server = server
        self.folder = folder
        self.openssl = openssl
        for name in ("root", "issuing"):
            (folder / f"{name}.pem").write_bytes(server.get(f"/ca/{name}.pem"))
        chain = [(folder / f"{name}.pem").read_bytes() for name in ("issuing", "root")]
        (folder / "chain.pem").write_bytes(b"".join(chain))

    @property
    def url(self):
        """Where all authorities answer."""
        return f"http://127.0.0.1:{self.server.http_port}/ocsp"

    def issue(self, name):
        """Have a certificate issued, with a key; return its path."""
        path = self.folder / f"{name}.pem"
        self.server.command(
            "cert", "issue", "--template", "web", "--dns", f"{name}.example",
            "--key-type", "ec-p256", "--key-out", self.folder / f"{name}.key", "--out", path,
        )  # fmt: skip
        return path

    def load(self, path):
        """Return a certificate."""
        return x509.load_pem_x509_certificate(path.read_bytes())

    def revoke(self, path, reason="key-compromise"):
        """Revoke by a command beside the server."""
        serial = f"{self.load(path).serial_number:x}"
        self.server.command("cert", "revoke", serial, "--reason", reason, "--yes")

    def ask(self, *words, where="", issuer="issuing"):
        """Ask with ``openssl ocsp``; return what it says, errors too."""
        done = subprocess.run(
            [
                self.openssl, "ocsp", "-issuer", self.folder / f"{issuer}.pem",
                "-CAfile", self.folder / "root.pem", "-url", self.url + where, *words,
            ],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr

    def request(self, path, *words):
        """Return the octets of a request as openssl writes it."""
        file = self.folder / "request.der"
        command = [self.openssl, "ocsp", "-issuer", self.folder / "issuing.pem"]
        subprocess.run([*command, "-cert", path, *words, "-reqout", file], check=True)
        return file.read_bytes()


KEY_TYPES = ("ec-p256", "rsa-2048", "ed25519")


@contextmanager
def asked_server(folder: Path, key_type: str) -> Iterator[House]:
    """Run ``pikaserver up --key TYPE`` until the block ends."""
    openssl = require_program("openssl", package="openssl")
    with running_server(folder, "--key", key_type) as server:
        yield House(server, folder, openssl)
