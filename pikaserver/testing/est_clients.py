"""Real EST clients, driven alike: curl with openssl, and strongSwan's pki."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pikaserver.testing.requirements import require_program

_TIME_LIMIT_SECONDS = 60
_KEY_OPTIONS = {
    "ec-p256": ("EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "ec-p384": ("EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "rsa-2048": ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "rsa-4096": ("RSA", "-pkeyopt", "rsa_keygen_bits:4096"),
    "ml-dsa-65": ("ML-DSA-65",),
}
_HTTP_STATUS = re.compile(r"HTTP (\d{3})")
_PEM_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Wish:
    """A fresh key and a request signed by it, as files in PEM."""

    key: Path
    csr: Path


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: the HTTP status, what the client printed, the certificate in PEM."""

    status: int
    text: str
    certificate: Path | None = None


class EstClient(Protocol):
    """What both clients can do; codes are ``(user, code)``, ``shown`` is a certificate's wish."""

    def ca_certificates(self) -> list[str]:
        """Return the CA certificates in PEM."""
        ...

    def enroll(self, wish: Wish, code: tuple[str, str] | None = None) -> Answer:
        """Ask for a certificate with an enrolment code."""
        ...

    def renew(self, wish: Wish, certificate: Path, key: Path) -> Answer:
        """Ask for a new certificate, showing the one to be renewed."""
        ...


def make_wish(
    folder: Path,
    common_name: str,
    names: Sequence[str] = (),
    key_type: str = "ec-p256",
    openssl: str | None = None,
) -> Wish:
    """Make a key and a CSR with openssl; ``names`` are written as ``DNS:plc.example``."""
    openssl = openssl or require_program("openssl", package="openssl")
    wish = Wish(folder / f"{common_name}.key", folder / f"{common_name}.csr")
    _run(openssl, "genpkey", "-out", str(wish.key), "-algorithm", *_KEY_OPTIONS[key_type])
    extension = ("-addext", f"subjectAltName={','.join(names)}") if names else ()
    subject = ("-subj", f"/CN={common_name}")
    _run(openssl, "req", "-new", "-key", str(wish.key), *subject, *extension, "-out", str(wish.csr))
    return wish


class CurlEst:
    """Posts base64 with curl and reads the answers with openssl.

    ``url`` is the server's (``https://localhost:8443``), ``trust`` the root in PEM.
    """

    def __init__(self, url: str, trust: Path, folder: Path, label: str = "") -> None:
        self._base = f"{url}/.well-known/est{f'/{label}' if label else ''}"
        self._trust = trust
        self._folder = folder
        self._curl = require_program("curl", package="curl")
        self._openssl = require_program("openssl", package="openssl")

    def ca_certificates(self) -> list[str]:
        """See `EstClient`."""
        answer = self.send("cacerts")
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise AssertionError(f"cacerts: {answer.status} {answer.text}")
        return _PEM_CERTIFICATE.findall(self._certificates(answer.text))

    def enroll(self, wish: Wish, code: tuple[str, str] | None = None) -> Answer:
        """See `EstClient`."""
        user = () if code is None else ("--user", ":".join(code))
        return self._ask("simpleenroll", wish, *user)

    def renew(self, wish: Wish, certificate: Path, key: Path) -> Answer:
        """See `EstClient`."""
        shown = ("--cert", str(certificate), "--key", str(key))
        return self._ask("simplereenroll", wish, *shown)

    def send(self, operation: str, *options: str) -> Answer:
        """Send anything with curl; the text is the answer's body."""
        asked = f"{self._base}/{operation}"
        told = _run(
            self._curl, "-sS", "--cacert", str(self._trust), "-w", "\n%{http_code}", *options, asked
        )
        text, _, status = told.stdout.rpartition("\n")
        return Answer(int(status), text)

    def _ask(self, operation: str, wish: Wish, *options: str) -> Answer:
        body = wish.csr.with_suffix(".b64")
        der = wish.csr.with_suffix(".der")
        _run(self._openssl, "req", "-in", str(wish.csr), "-outform", "DER", "-out", str(der))
        _run(self._openssl, "base64", "-A", "-in", str(der), "-out", str(body))
        content = ("-H", "Content-Type: application/pkcs10", "--data-binary", f"@{body}")
        answer = self.send(operation, *content, *options)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            return answer
        certificate = wish.csr.with_suffix(f".{operation}.pem")
        certificate.write_text("".join(_PEM_CERTIFICATE.findall(self._certificates(answer.text))))
        return Answer(answer.status, "", certificate)

    def _certificates(self, text: str) -> str:
        message, der = self._folder / "answer.b64", self._folder / "answer.p7"
        message.write_text(text)
        _run(self._openssl, "base64", "-d", "-A", "-in", str(message), "-out", str(der))
        printed = _run(self._openssl, "pkcs7", "-inform", "DER", "-in", str(der), "-print_certs")
        return printed.stdout


class StrongswanEst:
    """Uses ``pki --estca`` and ``pki --est``, which know no labels.

    ``options`` go along with each enrolment: how often to ask again, and for how long.
    """

    def __init__(self, url: str, trust: Path, folder: Path) -> None:
        self._url = url
        self._trust = trust
        self._folder = folder
        self._pki = require_program("pki", package="strongswan-pki")
        self.options: tuple[str, ...] = ()

    def ca_certificates(self) -> list[str]:
        """See `EstClient`."""
        out = self._folder / "strongswan-ca.pem"
        self._run("--estca", "--caout", str(out), "--outform", "pem", "--force")
        found = sorted(self._folder.glob("strongswan-ca*.pem"))
        return [path.read_text() for path in found]

    def enroll(self, wish: Wish, code: tuple[str, str] | None = None) -> Answer:
        """See `EstClient`."""
        user = () if code is None else ("--userpass", ":".join(code))
        return self._ask(wish, "simpleenroll", *user)

    def renew(self, wish: Wish, certificate: Path, key: Path) -> Answer:
        """See `EstClient`."""
        return self._ask(wish, "simplereenroll", "--cert", str(certificate), "--key", str(key))

    def _ask(self, wish: Wish, name: str, *options: str) -> Answer:
        told = self._run(
            "--est", "--in", str(wish.csr), "--outform", "pem", *self.options, *options
        )
        if told.returncode != 0:
            status = _HTTP_STATUS.search(told.stderr)
            return Answer(0 if status is None else int(status[1]), told.stderr)
        certificate = wish.csr.with_suffix(f".{name}.pem")
        certificate.write_text(told.stdout)
        return Answer(200, told.stderr, certificate)

    def _run(self, operation: str, *options: str) -> subprocess.CompletedProcess[str]:
        line = ("--url", self._url, "--cacert", str(self._trust))
        return _run(self._pki, operation, *line, *options, check=False)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    told = subprocess.run(  # noqa: S603 - programs and arguments are the test's own
        command, capture_output=True, text=True, check=False, timeout=_TIME_LIMIT_SECONDS
    )
    if check and told.returncode != 0:
        raise AssertionError(f"{command[0]} failed: {told.stderr}")
    return told
