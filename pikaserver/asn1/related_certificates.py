"""Two certificates of one holder, bound to each other (RFC 9763): attribute and extension."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS, key_type, verify
from pikaserver.asn1.certificate import issuer_and_serial
from pikaserver.asn1.digests import DIGEST_NAMES, DIGEST_OCTETS, DIGEST_OIDS, digest
from pikaserver.asn1.elements import (
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    expect,
    members,
)
from pikaserver.asn1.identifiers import identifier, read_oid
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.request_attributes import attribute_value
from pikaserver.asn1.signed_data import attribute

RELATED_CERT_REQUEST = "1.2.840.113549.1.9.16.2.60"
"""id-aa-relatedCertRequest (section 3)."""
RELATED_CERTIFICATE = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.36")
"""id-pe-relatedCert (section 4)."""

_HASH = "sha256"
_IA5_STRING = 0x16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253402300800  # the year 10000, where datetime ends


@dataclass(frozen=True, slots=True)
class RelatedRequest:
    """Which certificate the new one is to be bound to, and the signature by its key.

    ``certificate`` is its IssuerAndSerialNumber.  Where the request says that it could be
    fetched is passed over: we look into our own storage.
    """

    certificate: bytes
    serial: int
    at: datetime
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class RelatedHash:
    """What a certificate says of the one that it is bound to."""

    hash: str
    value: bytes

    def fits(self, certificate: bytes) -> bool:
        """Tell whether this is the certificate (DER)."""
        return digest(self.hash, certificate) == self.value


def read_related_request(csr: CertificationRequest) -> RelatedRequest | None:
    """Return what a request is to be bound to; ``None`` where it says nothing of it.

    Raises:
        MalformedRequest: it cannot be read.
    """
    value = attribute_value(csr, RELATED_CERT_REQUEST)
    if value is None:
        return None
    with refusing("relatedCertRequest"):
        named, time, places, signature = members(value, "RequesterCertificate")
        _, number = members(value, "an issuer with a serial number", named.at)
        # A list of URIs (section 3.1); some write a single one.
        if places.tag not in (SEQUENCE, _IA5_STRING):
            raise MalformedRequest("expected URIs in a relatedCertRequest")
        bits = expect(value, signature, BIT_STRING, "a signature")
        if bits[:1] != b"\0":
            raise MalformedRequest("a signature of no whole number of octets")
        serial = expect(value, number, INTEGER, "a serial number")
        return RelatedRequest(
            certificate=value[named.at : named.end],
            serial=int.from_bytes(serial, "big", signed=True),
            at=_moment(expect(value, time, INTEGER, "a time")),
            signed=value[named.at : named.end] + value[time.at : time.end],
            signature=bits[1:],
        )


def related_attribute(certificate: bytes, at: datetime, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the attribute by which a request is bound to this certificate.

    Args:
        certificate: DER.
        at: the present time.
        sign: by the certificate's own key.
    """
    # Section 3.1: both one after the other, with no SEQUENCE around.
    signed = issuer_and_serial(certificate) + der.integer((at - _EPOCH) // timedelta(seconds=1))
    place = der.element(_IA5_STRING, b"data:,")
    value = der.sequence(signed, der.sequence(place), der.bit_string(sign(signed)))
    return attribute(RELATED_CERT_REQUEST, value)


def copied_attribute(csr: CertificationRequest) -> bytes:
    """Return the attribute as it stands in a request, empty where it has none."""
    value = attribute_value(csr, RELATED_CERT_REQUEST)
    return b"" if value is None else attribute(RELATED_CERT_REQUEST, value)


def verify_related(request: RelatedRequest, spki: bytes) -> None:
    """Return when the key of the named certificate signed; no algorithm is told with it.

    Raises:
        MalformedRequest: it did not.
    """
    kind = KEY_TYPES.get(key_type(spki))
    families = kind.families if kind is not None else ()
    for entry in SIGNATURE_ALGORITHMS.values():
        if entry.family in families:
            try:
                verify(spki, entry.name, request.signature, request.signed, any_salt=True)
            except SignatureFaulty:
                continue
            return
    raise MalformedRequest(
        "the relatedCertRequest is not signed by the key of the certificate that it names"
    )


def related_extension(certificate: bytes) -> x509.UnrecognizedExtension:
    """Return the extension that binds to a certificate (DER)."""
    hashed = der.octet_string(digest(_HASH, certificate))
    value = der.sequence(identifier(DIGEST_OIDS[_HASH]), hashed)
    return x509.UnrecognizedExtension(RELATED_CERTIFICATE, value)


def fingerprint_of(bound: RelatedHash) -> str | None:
    """Return the fingerprint (SHA-256 in hex) of what a certificate is bound to.

    ``None`` where another hash names it: it can be recognized by that, and not looked up.
    """
    return bound.value.hex() if bound.hash == _HASH else None


def read_related_extension(value: bytes) -> RelatedHash:
    """Read the extension's value.

    Raises:
        MalformedRequest: it cannot be read, or its hash is not known here.
    """
    der.check(value)
    with refusing("relatedCertificate"):
        algorithm, hashed = members(value, "RelatedCertificate")
        name = DIGEST_NAMES.get(read_oid(value[algorithm.at : algorithm.end]), "")
        octets = expect(value, hashed, OCTET_STRING, "a hash")
        if name in ("", "sha1") or len(octets) != DIGEST_OCTETS[name]:
            raise MalformedRequest("a relatedCertificate with a hash that is not known here")
        return RelatedHash(name, octets)


def related_hash(certificate: x509.Certificate) -> RelatedHash | None:
    """Return what a certificate is bound to; ``None`` where it is to nothing.

    Raises:
        MalformedRequest: its extension cannot be read.
    """
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.UnrecognizedExtension) and (
            extension.oid == RELATED_CERTIFICATE
        ):
            return read_related_extension(extension.value.value)
    return None


def _moment(number: bytes) -> datetime:
    seconds = int.from_bytes(number, "big", signed=True)
    if not 0 <= seconds < _LATEST:
        raise MalformedRequest("a time that is none")
    return _EPOCH + timedelta(seconds=seconds)
