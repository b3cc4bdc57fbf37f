"""Files of certificates, as people bring them: PEM, one certificate in DER, PKCS#7."""

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import cms, der
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.elements import OID, children

CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "CMS")
"""Labels of the PEM blocks in which certificates come."""


def read_certificates(octets: bytes) -> list[bytes]:
    """Return all certificates of a file in DER, in its order.

    Raises:
        MalformedRequest: it holds none, or one that cannot be read.
    """
    if len(octets) > cms.LIMIT_OCTETS:
        raise MalformedRequest(f"more than {cms.LIMIT_OCTETS} octets")
    if not der.is_pem(octets):
        return _read_der(octets)
    blocks = der.read_pem(octets, *CERTIFICATE_LABELS)
    return [certificate for block in blocks for certificate in _read_der(block)]


def _read_der(octets: bytes) -> list[bytes]:
    first = next(children(octets), None)
    if first is not None and first.tag == OID:
        return cms.read_certificates_only(octets)
    read_certificate(octets)
    return [octets]
