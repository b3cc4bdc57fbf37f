"""A client of CMC: PKIData by our encoder, everything of CMS by openssl."""

import base64
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.der import write_pem
from pikaserver.asn1.elements import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    children,
    dotted,
    expect,
    members,
    read_element,
)
from pikaserver.testing.requirements import require_program
from pikaserver.testing.throw_away import (
    distinguished_name,
)

URL = "/.well-known/est/fullcmc"
PKCS7 = {"Content-Type": "application/pkcs7-mime; smime-type=CMC-Request"}


@dataclass(frozen=True)
class Told:
    """One CMCStatusInfoV2."""

    status: int
    parts: tuple[int, ...]
    text: str | None
    fail_info: int | None
    token: bytes | None


@dataclass(frozen=True)
class CmcAnswer:
    """What a full answer holds."""

    code: int
    headers: dict[str, str]
    told: tuple[Told, ...]
    controls: dict[str, list[bytes]]
    certificates: tuple[bytes, ...]
    octets: bytes


class CmcClient:
    """Signs with openssl, sends, verifies the answer with openssl, and reads it."""

    def __init__(self, est, folder: Path, roots: list[bytes], now: datetime) -> None:
        self._est = est
        self._now = str(int(now.timestamp()))
        self._folder = folder
        self._openssl = require_program("openssl", package="openssl")
        self._root = self.file("root.pem", b"".join(write_pem("CERTIFICATE", r) for r in roots))

    def file(self, name: str, octets: bytes) -> str:
        path = self._folder / name
        path.write_bytes(octets)
        return str(path)

    def sign(self, content: bytes, key, certificate: bytes, *options: str) -> bytes:
        """Return SignedData over PKIData as ``openssl cms -sign`` makes it."""
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        signer = self.file("signer.pem", write_pem("CERTIFICATE", certificate))
        return self._run(
            "-sign",
            "-nodetach",
            "-binary",
            "-econtent_type",
            cmc.PKI_DATA,
            "-outform",
            "DER",
            "-in",
            self.file("content.der", content),
            "-signer",
            signer,
            "-inkey",
            self.file("signer.key", private),
            *options,
        )

    def send(self, message: bytes, url: str = URL, **who) -> CmcAnswer:
        """Send a message, and read what comes back."""
        answer = self._est.send("POST", url, base64.b64encode(message), headers=PKCS7, **who)
        kind = answer.headers["content-type"]
        assert "application/pkcs7-mime; smime-type=CMC-response" == kind, answer.text
        octets = base64.b64decode(answer.content)
        content = self._run(
            "-verify",
            "-attime",
            self._now,
            "-inform",
            "DER",
            "-CAfile",
            self._root,
            "-purpose",
            "any",
            "-in",
            self.file("answer.der", octets),
        )
        controls = read_controls(content)
        told = tuple(map(read_told, controls.get(cmc.STATUS_INFO_V2, [])))
        found = tuple(read_certificates_only(octets))
        return CmcAnswer(answer.status_code, dict(answer.headers), told, controls, found, octets)

    def _run(self, *options: str) -> bytes:
        told = subprocess.run([self._openssl, "cms", *options], capture_output=True, check=False)
        assert 0 == told.returncode, told.stderr
        return told.stdout


def pki_data(*parts: bytes, controls: tuple[bytes, ...] = ()) -> bytes:
    """Return PKIData."""
    empty = der.sequence()
    return der.sequence(der.sequence(*controls), der.sequence(*parts), empty, empty)


def pkcs10(number: int, csr: bytes) -> bytes:
    """Return a TaggedRequest."""
    return der.context(0, der.integer(number) + csr)


def control(number: int, kind: str, *values: bytes) -> bytes:
    """Return a TaggedAttribute."""
    return der.sequence(der.integer(number), der.oid(kind), der.set_of(*values))


def read_controls(content: bytes) -> dict[str, list[bytes]]:
    controls, *rest = members(content, "PKIResponse")
    assert 2 == len(rest)
    found: dict[str, list[bytes]] = {}
    for one in children(content, controls.at):
        number, kind, values = members(content, "a control", one.at)
        expect(content, number, INTEGER, "a number")
        (value,) = children(content, values.at)
        name = dotted(content[kind.start : kind.end])
        found.setdefault(name, []).append(content[value.at : value.end])
    return found


def read_told(value: bytes) -> Told:
    status, parts, *rest = members(value, "CMCStatusInfoV2")
    text = fail_info = token = None
    for one in rest:
        octets = value[one.start : one.end]
        if one.tag == 0x0C:
            text = octets.decode()
        elif one.tag == INTEGER:
            fail_info = int.from_bytes(octets, "big")
        elif one.tag == SEQUENCE:
            first = next(children(value, one.at))
            token = expect(value, first, OCTET_STRING, "a token")
    numbers = tuple(
        int.from_bytes(value[one.start : one.end], "big") for one in children(value, parts.at)
    )
    return Told(value[status.end - 1], numbers, text, fail_info, token)


def content_of(value: bytes) -> bytes:
    found = read_element(value, 0)
    return value[found.start : found.end]


def self_signed(key):
    """Return a certificate that a client makes for its own new key."""
    name = distinguished_name("plc-21")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .add_extension(identifier, critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def new_keys(answer):
    """Return the public keys of the certificates in an answer."""
    return [
        x509.load_der_x509_certificate(one)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in answer.certificates
    ]
