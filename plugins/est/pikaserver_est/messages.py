"""EST's octets to values and back: bodies in base64, certs-only answers, CSR attributes."""

import base64
import binascii

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.templates import Template
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.csr import read_csr, read_csr_text
from pikaserver.asn1.elements import children

BODY_LIMIT_OCTETS = 64 * 1024
"""A request is base64 of one CSR; the largest sensible one (ML-DSA-87) has 10 KiB."""

CERTIFICATES_TYPE = "application/pkcs7-mime; smime-type=certs-only"
REQUEST_TYPE = "application/pkcs10"
ATTRIBUTES_TYPE = "application/csrattrs"

_WHITE_SPACE = b" \t\r\n"
_LINE_CHARACTERS = 64
# These read base64 only in lines; strongSwan reads it only without any.
_WRAPPING_CLIENTS = ("libest", "Cisco EST client")

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_SUBJECT_ALT_NAME = "2.5.29.17"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_SUBJECT_ATTRIBUTES = {
    "CN": "2.5.4.3",
    "SN": "2.5.4.4",
    "serialNumber": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "street": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "title": "2.5.4.12",
    "GN": "2.5.4.42",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "emailAddress": "1.2.840.113549.1.9.1",
}


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
    text = body.translate(None, _WHITE_SPACE)
    if not text:
        raise MalformedRequest("expected a CSR in base64, found an empty body")
    try:
        return read_csr(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise MalformedRequest("expected a CSR in base64 (RFC 8951 section 3)") from None


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


def csr_attributes(template: Template) -> bytes | None:
    """Return CsrAttrs (RFC 8951 section 3.5) for a template, ``None`` if it asks for nothing.

    Listed are the keys that it takes, the attributes and names that the client has to
    supply, and the extended key usage.  Several kinds of keys mean: any one of them.
    """
    wanted = [_key_attribute(name) for name in sorted(template.key_types) if name in KEY_TYPES]
    fixed = {name for name, _ in template.subject.fixed}
    wanted += [
        der.oid(_SUBJECT_ATTRIBUTES[name])
        for name in template.subject.required
        if name in _SUBJECT_ATTRIBUTES and name not in fixed
    ]
    if template.names_required:
        wanted.append(der.oid(_SUBJECT_ALT_NAME))
    if template.usage.extended_key_usage:
        wanted.append(_extension_request(template))
    return der.sequence(*wanted) if wanted else None


def _key_attribute(key_type: str) -> bytes:
    """Return the algorithm's OID, with what RFC 9908 section 3.2 says of curve and size."""
    identifier = KEY_TYPES[key_type].identifier
    algorithm, *parameters = (identifier[part.at : part.end] for part in children(identifier))
    if key_type.startswith("rsa-"):
        parameters = [der.integer(int(key_type.removeprefix("rsa-")))]
    if not parameters:
        return algorithm
    return der.sequence(algorithm, der.set_of(*parameters))


def _extension_request(template: Template) -> bytes:
    """Return extensionRequest with one value, which is Extensions (RFC 2985 section 5.4.2)."""
    usages = (der.oid(usage) for usage in template.usage.extended_key_usage)
    critical = [der.boolean(value=True)] if template.usage.extended_key_usage_critical else []
    extension = der.sequence(
        der.oid(_EXTENDED_KEY_USAGE), *critical, der.octet_string(der.sequence(*usages))
    )
    return der.sequence(der.oid(_EXTENSION_REQUEST), der.set_of(der.sequence(extension)))
