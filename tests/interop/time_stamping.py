"""A server that stamps over HTTP, with units of several kinds, and what signers need of it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pikaserver.asn1.der import read_pem, write_pem
from pikaserver.testing.servers import ServerProcess, free_port

UNITS = {"rsa": "rsa-3072", "p384": "ec-p384", "pq": "ml-dsa-65"}
"""The units beside the usual one, which has the key type of the authority: P-256."""
PASSPHRASE = "sesame-sesame"  # noqa: S105 - of a throw-away key


@dataclass(frozen=True)
class Site:
    """A running server and a folder for files."""

    server: ServerProcess
    folder: Path

    def url(self, unit: str = "") -> str:
        """Return where a unit stamps."""
        path = f"/tsa/issuing/{unit}" if unit else "/tsa"
        return f"http://127.0.0.1:{self.server.http_port}{path}"

    def file(self, name: str, octets: bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(octets)
        return path

    @property
    def root(self) -> Path:
        """The root's certificate in PEM."""
        return self.file("root.pem", self.server.get("/ca/root.pem"))

    @property
    def chain(self) -> Path:
        """The authority's certificate and the root's in PEM."""
        return self.file("chain.pem", self.server.get("/downloads/chain"))

    @property
    def crls(self) -> list[bytes]:
        """The CRLs of both authorities in DER."""
        return [self.server.get(f"/crl/{name}.crl") for name in ("issuing", "root")]

    @property
    def crl_file(self) -> Path:
        """The same in PEM."""
        return self.file("crls.pem", b"".join(write_pem("X509 CRL", one) for one in self.crls))

    def signer(self, template: str) -> Path:
        """Issue a certificate with an RSA key and return the stem of .key, .pem and .p12."""
        stem = self.folder / template
        if stem.with_suffix(".pem").exists():
            return stem
        secret = self.file("secret", PASSPHRASE.encode())
        self.server.command(
            *("cert", "issue", "--template", template, "--subject", f"CN={template}"),
            *("--key-type", "rsa-3072", "--key-out", f"{stem}.key", "--out", f"{stem}.pem"),
            *("--p12-out", f"{stem}.p12", "--passphrase-file", str(secret)),
        )
        return stem

    def certificates(self, path: Path) -> list[bytes]:
        """Return the certificates of a file in DER."""
        return read_pem(path.read_bytes(), "CERTIFICATE")


@contextmanager
def stamping_site(folder: Path) -> Iterator[Site]:
    """Run a server whose issuing authority stamps with all units."""
    units = ",".join(f'"{unit}"' for unit in UNITS)
    setting = f"PIKASERVER__PLUGINS__TSA__AUTHORITIES__ISSUING__UNITS=[{units}]"
    server = ServerProcess(folder / "data", free_port(), free_port(), wrapper=("env", setting))
    try:
        server.start()
        for unit, kind in UNITS.items():
            server.command("ca", "set", "issuing", "--service", f"tsa.{unit}.key-type={kind}")
        yield Site(server, folder)
    finally:
        server.stop()


def call(*words: object, cwd: Path | None = None) -> str:
    """Run a program that has to succeed, and return all that it said."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    told = done.stdout.decode(errors="replace")
    assert 0 == done.returncode, (words, told)
    return told
