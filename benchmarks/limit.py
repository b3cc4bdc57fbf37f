"""The limit: what the cryptography and the disk alone would allow, in a bare loop.

For each certificate: read the CSR and verify it, build the certificate with the extensions
that the starter "device" gives, sign it, verify the signature, write certs-only PKCS#7 in
base64; two durable commits, each for a whole group: a row with its serial and an audit row,
then the certificate and another audit row.  No policy, no lints, no template, no HTTP.
"""

import base64
import hashlib
import os
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

_TABLES = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE certificate (
  id INTEGER PRIMARY KEY, serial TEXT UNIQUE, subject TEXT, names TEXT, tbs BLOB,
  certificate BLOB, fingerprint TEXT
);
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY, at INTEGER, event TEXT, fields TEXT, hash BLOB
);
"""
_HASH = ec.ECDSA(hashes.SHA256())
_YEAR = timedelta(days=365)


class Limit:
    """Issues in groups; a group stands for clients whose commits come together."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "limit.db", isolation_level=None)
        self._database.executescript(_TABLES)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._public_key = self._key.public_key()
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuing CA")])
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._public_key)
        self._head = bytes(32)

    def rate(self, csrs: Sequence[bytes], group: int, seconds: float) -> tuple[float, float]:
        """Return certificates per second, and CPU seconds for one of them."""
        done, began, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            self.issue([csrs[(done + member) % len(csrs)] for member in range(group)])
            done += group
        passed = time.perf_counter() - began
        return done / passed, (time.process_time() - cpu) / done

    def issue(self, group: Sequence[bytes]) -> list[bytes]:
        """Issue one certificate for each CSR; return what EST would answer."""
        made = [self.certify(csr) for csr in group]
        self._database.execute("BEGIN IMMEDIATE")
        numbers = [self._intend(certificate) for certificate in made]
        self._database.execute("COMMIT")
        self._database.execute("BEGIN IMMEDIATE")
        for number, certificate in zip(numbers, made, strict=True):
            self._complete(number, certificate)
        self._database.execute("COMMIT")
        return [base64.b64encode(_certificates_only(certificate)) for certificate in made]

    def certify(self, csr: bytes) -> x509.Certificate:
        """Do the cryptography of one certificate."""
        request = x509.load_der_x509_csr(csr)
        if not request.is_signature_valid:
            raise ValueError("the CSR is not signed by its key")
        certificate = self._builder(request).sign(self._key, hashes.SHA256())
        self._public_key.verify(certificate.signature, certificate.tbs_certificate_bytes, _HASH)
        return certificate

    def _builder(self, request: x509.CertificateSigningRequest) -> x509.CertificateBuilder:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key, now = request.public_key(), datetime.now(UTC)
        issuer = AuthorityInformationAccessOID.CA_ISSUERS
        builder = (
            x509.CertificateBuilder()
            .serial_number(int.from_bytes(b"\x01" + os.urandom(17), "big"))
            .subject_name(request.subject)
            .issuer_name(self._name)
            .not_valid_before(now)
            .not_valid_after(now + _YEAR)
            .public_key(key)
        )
        extensions = (
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier),
                False,
            ),
            (names, False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_USAGE, True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.AuthorityInformationAccess([x509.AccessDescription(issuer, _URL)]), False),
            (x509.CRLDistributionPoints([_POINT]), False),
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical=critical)
        return builder

    def _intend(self, certificate: x509.Certificate) -> int:
        cursor = self._database.execute(
            "INSERT INTO certificate (serial, subject, names, tbs) VALUES (?, ?, ?, ?)",
            (
                f"{certificate.serial_number:x}",
                certificate.subject.rfc4514_string(),
                "dns:a.example.test",
                certificate.tbs_certificate_bytes,
            ),
        )
        self._record("certificate.signing", f'{{"serial":"{certificate.serial_number:x}"}}')
        return cursor.lastrowid or 0

    def _complete(self, number: int, certificate: x509.Certificate) -> None:
        der = certificate.public_bytes(Encoding.DER)
        self._database.execute(
            "UPDATE certificate SET certificate = ?, fingerprint = ?, tbs = NULL WHERE id = ?",
            (der, hashlib.sha256(der).hexdigest(), number),
        )
        self._record("certificate.issued", f'{{"certificate":{number}}}')

    def _record(self, event: str, fields: str) -> None:
        now = time.time_ns()
        line = f"{now} {event} {fields}".encode()
        self._head = hashlib.sha256(self._head + line).digest()
        self._database.execute(
            "INSERT INTO audit (at, event, fields, hash) VALUES (?, ?, ?, ?)",
            (now, event, fields, self._head),
        )


def _certificates_only(certificate: x509.Certificate) -> bytes:
    return pkcs7.serialize_certificates([certificate], Encoding.DER)


_URL = x509.UniformResourceIdentifier("http://pki.example.test/ca/issuing.g1.cer")
_POINT = x509.DistributionPoint([_URL], None, None, None)
_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
