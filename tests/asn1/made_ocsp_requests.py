"""OCSP requests in pieces."""

from cryptography import x509

from pikaserver.asn1 import der
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.ocsp import (
    issuer_octets,
    make_cert_id,
)

SUBJECT = x509.Name.from_rfc4514_string("CN=Issuing CA,O=Example").public_bytes()
SPKI = der.sequence(identifier("1.3.101.112"), der.bit_string(bytes(range(32))))
ISSUER = issuer_octets(0, SUBJECT, SPKI)
CERT_ID = make_cert_id(ISSUER, 0x0102030405)


def tbs(*fields):
    """Return an OCSPRequest around the fields of TBSRequest."""
    return der.sequence(der.sequence(*fields))


def asked(*extensions, cert_id=CERT_ID.der):
    """Return a requestList of one, with single extensions."""
    listed = der.context(0, der.sequence(*extensions)) if extensions else b""
    return der.sequence(der.sequence(cert_id, listed))


def with_extensions(*extensions):
    """Return a request with extensions as they are."""
    return tbs(asked(), der.context(2, der.sequence(*extensions)))
