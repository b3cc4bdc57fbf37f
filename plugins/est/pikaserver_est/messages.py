"""EST's octets to values and back: bodies in base64, certs-only answers."""

import base64
import binascii
from collections.abc import Sequence

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.csr import read_csr, read_csr_text

BODY_LIMIT_OCTETS = 64 * 1024
"""A request is base64 of one CSR; the largest sensible one (ML-DSA-87) has 10 KiB."""

CERTIFICATES_TYPE = "application/pkcs7-mime; smime-type=certs-only"
REQUEST_TYPE = "application/pkcs10"
ATTRIBUTES_TYPE = "application/csrattrs"
CERTIFICATE_TYPE = "application/pkix-cert"
PRIVATE_KEY_TYPE = "application/pkcs8"
ENVELOPED_KEY_TYPE = "application/pkcs7-mime; smime-type=server-generated-key"
CMC_TYPE = "application/pkcs7-mime"
CMC_RESPONSE_TYPE = "application/pkcs7-mime; smime-type=CMC-response"

_WHITE_SPACE = b" \t\r\n"
_LINE_CHARACTERS = 64
# These read base64 only in lines; strongSwan reads it only without any.
_WRAPPING_CLIENTS = ("libest", "Cisco EST client")


def read_request(body: bytes) -> CertificationRequest:
    """Return the CSR of an enrolment's body.

    RFC 8951 section 3.1: white space is passed over, and what Content-Transfer-Encoding
    says is ignored.  PEM and plain DER are taken too: people send what ``openssl req``
    wrote, and neither can be mistaken for base64 of a CSR.

    Raises:
        MalformedRequest: it is none of these, or not one CSR.
    """
    if der.is_pem(body) or (body[:1] == b"\x30" and not body.isascii()):
        return read_csr_text(body)
    return read_csr(read_base64(body, "a CSR"))


def read_base64(body: bytes, what: str) -> bytes:
    """Return the octets of a body in base64, however it is broken into lines.

    Raises:
        MalformedRequest: it is empty, or no base64.
    """
    text = body.translate(None, _WHITE_SPACE)
    if not text:
        raise MalformedRequest(f"expected {what} in base64, found an empty body")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise MalformedRequest(f"expected {what} in base64 (RFC 8951 section 3)") from None


def read_octets(body: bytes) -> bytes:
    """Return the octets of a body that is base64, or DER as it is.

    Raises:
        MalformedRequest: it is neither.
    """
    return read_base64(body, "a message") if body.isascii() else body


def read_certificates_of(body: bytes) -> list[bytes]:
    """Return the certificates (DER) of a body: PEM, plain DER, or DER in base64.

    Raises:
        MalformedRequest: it is none of these.
    """
    if der.is_pem(body) or not body.isascii():
        return read_certificates(body)
    return read_certificates(read_base64(body, "a certificate"))


def write_certificates(*certificates: bytes) -> bytes:
    """Return a certs-only message (RFC 7030 sections 4.1.3 and 4.2.3) in DER."""
    return certificates_only(certificates)


def write_body(octets: bytes, user_agent: str) -> bytes:
    """Return base64 in the form that this client reads: one line, or lines of 64 characters."""
    text = base64.b64encode(octets)
    if not user_agent.startswith(_WRAPPING_CLIENTS):
        return text
    lines = range(0, len(text), _LINE_CHARACTERS)
    return b"".join(text[at : at + _LINE_CHARACTERS] + b"\n" for at in lines)


def write_parts(parts: Sequence[tuple[str, bytes]], boundary: str, user_agent: str) -> bytes:
    """Return multipart/mixed (RFC 2046 section 5.1.3) with each part in base64."""
    lines: list[bytes] = []
    for content_type, octets in parts:
        lines += [
            b"--" + boundary.encode("ascii"),
            b"Content-Type: " + content_type.encode("ascii"),
            b"Content-Transfer-Encoding: base64",
            b"",
            write_body(octets, user_agent).rstrip(b"\n"),
        ]
    lines += [b"--" + boundary.encode("ascii") + b"--", b""]
    return b"\r\n".join(lines)
