"""Certificates by what callers name them: a serial number, or a fingerprint."""

import re

from pikaserver.api.certificates import CertificateQuery, CertificateRecord
from pikaserver.api.errors import Conflict, NotFound
from pikaserver.api.server import Server
from pikaserver.asn1.serials import read_serial

_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.IGNORECASE | re.ASCII)


def find_certificate(server: Server, identifier: str) -> CertificateRecord:
    """Return the certificate of a serial number, or of a SHA-256 fingerprint, in hex.

    Raises:
        MalformedRequest: it is neither.
        NotFound: there is no such certificate.
        Conflict: two authorities gave this serial number.
    """
    if _FINGERPRINT.fullmatch(identifier):
        query = CertificateQuery(fingerprint=identifier.lower())
    else:
        query = CertificateQuery(serial=read_serial(identifier))
    found = [one for one in server.certificates.find(query) if one.certificate]
    if not found:
        raise NotFound("no certificate of this serial number or fingerprint was issued here")
    if len(found) > 1:
        raise Conflict("two authorities gave this serial number: ask by the SHA-256 fingerprint")
    return found[0]
