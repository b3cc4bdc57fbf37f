"""The signed attribute that binds a signature to one certificate (RFC 5035, RFC 2634).

A time-stamp without it could be passed off as another unit's (RFC 3161 section 2.4.2).
"""

from functools import lru_cache

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.certificate import issuer_and_serial
from pikaserver.asn1.digests import DIGEST_NAMES, digest
from pikaserver.asn1.elements import OCTET_STRING, SEQUENCE, members
from pikaserver.asn1.identifiers import read_oid
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.signed_data import attribute
from pikaserver.asn1.signed_data_reading import ReadSignedData

SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"


@lru_cache(maxsize=64)
def signing_certificate_v2(certificate: bytes) -> bytes:
    """Return the attribute for a certificate (RFC 5035 section 3); it is remembered.

    It names the SHA-256 of the certificate, which is the default and so not spelt out.
    """
    hashed = der.octet_string(digest("sha256", certificate))
    identity = der.sequence(hashed, _issuer_serial(certificate))
    return attribute(SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(identity)))


def _issuer_serial(certificate: bytes) -> bytes:
    """Return IssuerSerial: the issuer as the only one of GeneralNames, and the serial."""
    octets = issuer_and_serial(certificate)
    issuer, serial = members(octets, "IssuerAndSerialNumber")
    name = der.context(4, octets[issuer.at : issuer.end])
    return der.sequence(der.sequence(name), octets[serial.at : serial.end])


def check_binding(signed: ReadSignedData, certificate: bytes) -> None:
    """Return when the signature is bound to this certificate.

    Raises:
        MalformedRequest: the attribute cannot be read.
        SignatureFaulty: there is none, or it names another certificate.
    """
    bound = [signed.values.get(oid) for oid in (SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2)]
    if not any(bound):
        raise SignatureFaulty("the signature is not bound to a certificate")
    for value in bound:
        if value is None:
            continue
        with refusing("signing certificate attribute"):
            fits = _names(value, certificate, "sha1" if value is bound[0] else "sha256")
        if not fits:
            raise SignatureFaulty("the signature is bound to another certificate")


def _names(value: bytes, certificate: bytes, default_hash: str) -> bool:
    """Tell whether the first identity, which is the signer's, is this certificate's."""
    identities, *_ = members(value, "a signing certificate")
    first, *_ = members(value, "certificate identities", identities.at)
    parts = members(value, "a certificate identity", first.at)
    name = default_hash
    # ESSCertIDv2 begins with its hash algorithm, unless that is SHA-256.
    if parts[0].tag == SEQUENCE:
        hashed = parts.pop(0)
        name = DIGEST_NAMES.get(read_oid(value[hashed.at : hashed.end]), "")
    if not name or [part.tag for part in parts] not in ([OCTET_STRING], [OCTET_STRING, SEQUENCE]):
        raise MalformedRequest("a certificate identity of an unknown shape")
    if value[parts[0].start : parts[0].end] != digest(name, certificate):
        return False
    return not parts[1:] or value[parts[1].at : parts[1].end] == _issuer_serial(certificate)
