"""Certificates in CMS without a signature: PKCS#7 certs-only (RFC 5652 section 5.2)."""

from collections.abc import Sequence

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.elements import CONSTRUCTED, CONTEXT, INTEGER, OID, SEQUENCE, SET, children

LIMIT_OCTETS = 1 << 20
"""The largest bag of certificates that we read."""

_DATA = der.oid("1.2.840.113549.1.7.1")
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_CERTIFICATES = CONTEXT | CONSTRUCTED


def certificates_only(certificates: Sequence[bytes], crls: Sequence[bytes] = ()) -> bytes:
    """Return a degenerate SignedData that carries certificates, and CRLs where asked.

    The certificates stay in their order, the requester's own first: CertificateSet is a
    SET OF whose order BER leaves free, CMS asks for DER only in signed attributes, and
    clients are met that take the first certificate for theirs.  A caller for whom strict DER
    counts more gives them sorted.
    """
    content_info = der.sequence(_DATA)
    return der.sequence(
        _SIGNED_DATA,
        der.context(
            0,
            der.sequence(
                der.integer(1),
                der.set_of(),
                content_info,
                der.context(0, b"".join(certificates)) if certificates else b"",
                der.context(1, b"".join(crls)) if crls else b"",
                der.set_of(),
            ),
        ),
    )


def read_certificates_only(octets: bytes) -> list[bytes]:
    """Return the certificates of a SignedData in DER, in their order; signers are ignored.

    Raises:
        MalformedRequest: it is no SignedData, holds no certificate, or one cannot be read.
    """
    der.check(octets, limit_octets=LIMIT_OCTETS)
    outer = list(children(octets))
    if [part.tag for part in outer] != [OID, CONTEXT | CONSTRUCTED]:
        raise MalformedRequest("not a CMS ContentInfo")
    if octets[outer[0].at : outer[0].end] != _SIGNED_DATA:
        raise MalformedRequest("not a SignedData")
    inner = list(children(octets, outer[1].at))
    fields = list(children(octets, inner[0].at)) if len(inner) == 1 else []
    if [field.tag for field in fields[:3]] != [INTEGER, SET, SEQUENCE]:
        raise MalformedRequest("not a SignedData")
    found = [
        octets[certificate.at : certificate.end]
        for field in fields[3:]
        if field.tag == _CERTIFICATES
        for certificate in children(octets, field.at)
    ]
    if not found:
        raise MalformedRequest("there is no certificate in this SignedData")
    for certificate in found:
        read_certificate(certificate)
    return found
