"""Requests made beforehand: fresh P-256 keys, their CSRs, and both as HTTP."""

import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def make_csrs(count: int) -> list[bytes]:
    """Return so many CSRs in DER, each with a key and a name of its own."""
    return [_csr(number) for number in range(count)]


def _csr(number: int) -> bytes:
    name = f"device-{number}"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(f"{name}.example.test")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = builder.add_extension(names, critical=False).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return signed.public_bytes(Encoding.DER)


def enrollment(csr: bytes, host: str, user: str, code: str, template: str = "") -> bytes:
    """Return the octets of ``POST .../simpleenroll`` with an enrolment code of a template."""
    label = f"{template}/" if template else ""
    body = base64.b64encode(csr)
    credentials = base64.b64encode(f"{user}:{code}".encode())
    head = (
        f"POST /.well-known/est/{label}simpleenroll HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Basic {credentials.decode()}\r\n\r\n"
    )
    return head.encode() + body


def plain(path: str, host: str) -> bytes:
    """Return the octets of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
