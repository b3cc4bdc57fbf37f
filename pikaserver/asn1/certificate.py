"""Certificates: the octets to be signed, taken from cryptography's builder, and assembly."""

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.utils import Buffer

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, algorithm_of, key_type, verify
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.elements import (
    INTEGER,
    SEQUENCE,
    children,
    content,
    expect,
    members,
    read_element,
)
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.names import check_bounds
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.slh_dsa import PARAMETER_SETS

LIMIT_OCTETS = 65_536
"""The largest certificate that we read or make."""

# What the builder writes for the kind of key that it believes to have.
_WRITTEN = SIGNATURE_ALGORITHMS["ed25519"].identifier


class _Captured(Exception):
    """Carries the octets that the builder wanted signed."""

    def __init__(self, tbs: bytes) -> None:
        super().__init__()
        self.tbs = tbs


class _CaptureKey(ed25519.Ed25519PrivateKey):
    """Looks like a key of the type that needs no hash; of it the builder only calls `sign`."""

    def sign(self, data: Buffer) -> bytes:
        """Stop the builder and hand out what it wanted signed."""
        raise _Captured(bytes(data))

    def public_key(self) -> ed25519.Ed25519PublicKey:
        """Not there."""
        raise NotImplementedError

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 - the name that cryptography gave it
        encryption_algorithm: KeySerializationEncryption,
    ) -> bytes:
        """Not there."""
        raise NotImplementedError

    def private_bytes_raw(self) -> bytes:
        """Not there."""
        raise NotImplementedError

    def __copy__(self) -> "_CaptureKey":
        return self

    def __deepcopy__(self, memo: object) -> "_CaptureKey":
        return self


def tbs(builder: x509.CertificateBuilder, algorithm: str) -> bytes:
    """Return the TBSCertificate (RFC 5280 section 4.1) that a builder describes.

    One way for every algorithm of an authority, also those that cryptography cannot sign
    with: the builder's third field, ``signature``, is replaced by the real identifier.

    Raises:
        ValueError: the builder lacks a field.
    """
    octets = _capture(builder)
    start, end = content(octets, 0)
    _, version_end = content(octets, start)  # [0]: there in every v3 certificate
    _, at = content(octets, version_end)  # serialNumber; `signature` follows
    if octets[at : at + len(_WRITTEN)] != _WRITTEN:
        raise AssertionError("TBSCertificate.signature is not where RFC 5280 puts it")
    identifier = SIGNATURE_ALGORITHMS[algorithm].identifier
    return der.sequence(octets[start:at], identifier, octets[at + len(_WRITTEN) : end])


def _capture(builder: x509.CertificateBuilder) -> bytes:
    try:
        builder.sign(_CaptureKey(), None)
    except _Captured as captured:
        return captured.tbs
    raise AssertionError("the builder signed without asking the key")


def assemble(tbs: bytes, algorithm: str, signature: bytes) -> bytes:
    """Return the certificate in DER, after reading it once more.

    Raises:
        SignatureFaulty: it cannot be read, has other octets to be signed, or names another
            algorithm inside.
    """
    certificate = der.signed(tbs, SIGNATURE_ALGORITHMS[algorithm].identifier, signature)
    try:
        loaded = x509.load_der_x509_certificate(certificate)
        same = loaded.tbs_certificate_bytes == tbs and inner_algorithm(tbs) == algorithm
    except (ValueError, MalformedRequest) as broken:
        raise SignatureFaulty(f"the assembled certificate cannot be read: {broken}") from None
    if not same:
        raise SignatureFaulty("the assembled certificate is not the one that was to be signed")
    return certificate


def inner_algorithm(tbs: bytes) -> str:
    """Return our name of TBSCertificate.signature.

    Raises:
        MalformedRequest: there is none, or it is not in the table.
    """
    fields = [field for _, field in zip(range(3), children(tbs), strict=False)]
    if [field.tag for field in fields] != [0xA0, 0x02, SEQUENCE]:
        raise MalformedRequest("not a TBSCertificate of version 3")
    return algorithm_of(tbs[fields[2].at : fields[2].end])


def with_dummy_signature(tbs: bytes, algorithm: str) -> x509.Certificate:
    """Return a readable draft for lints: zero octets stand where the signature will be."""
    entry = SIGNATURE_ALGORITHMS[algorithm]
    signature = bytes(entry.octets or 256)
    return x509.load_der_x509_certificate(der.signed(tbs, entry.identifier, signature))


def tbs_of(certificate: bytes) -> bytes:
    """Return the octets of a certificate that were signed.

    Raises:
        MalformedRequest: it is not a certificate.
    """
    outer = read_element(certificate, 0)
    expect(certificate, outer, SEQUENCE, "a certificate")
    tbs = read_element(certificate, outer.start, outer.end)
    expect(certificate, tbs, SEQUENCE, "a TBSCertificate")
    return certificate[tbs.at : tbs.end]


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a certificate names this issuer and is signed by its key."""
    kind = key_type(public_key_of(issuer))
    if kind in PARAMETER_SETS or kind in COMPOSITES:
        return certificate.issuer == issuer.subject and _verifies(certificate, issuer)
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _verifies(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Verify SLH-DSA and composites, which cryptography does not know."""
    octets = certificate.public_bytes(Encoding.DER)
    _, outer, _ = members(octets, "a certificate")
    tbs, spki = certificate.tbs_certificate_bytes, public_key_of(issuer)
    try:
        algorithm = algorithm_of(octets[outer.at : outer.end])
        verify(spki, algorithm, certificate.signature, tbs)
    except (MalformedRequest, SignatureFaulty):
        return False
    return True


def public_key_of(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo as it stands in a certificate, of whatever type."""
    return _field(certificate, 5)


def subject_of(certificate: x509.Certificate) -> bytes:
    """Return the subject's Name in DER as it stands in a certificate, in its own spelling."""
    return _field(certificate, 4)


def _field(certificate: x509.Certificate, after_serial: int) -> bytes:
    octets = certificate.tbs_certificate_bytes
    fields = list(children(octets))
    first = 1 if fields[0].tag == 0xA0 else 0  # noqa: PLR2004 - [0] version, left out in v1
    found = fields[first + after_serial]
    return octets[found.at : found.end]


@lru_cache(maxsize=64)
def issuer_and_serial(certificate: bytes) -> bytes:
    """Return IssuerAndSerialNumber (RFC 5652 section 10.2.4), as a certificate spells both.

    It is remembered, for whoever signs much signs with the same few certificates.

    Raises:
        MalformedRequest: it is no certificate.
    """
    tbs = tbs_of(certificate)
    fields = [field for _, field in zip(range(4), children(tbs), strict=False)]
    if fields and fields[0].tag == 0xA0:  # noqa: PLR2004 - [0] version, left out in v1
        del fields[0]
    if [field.tag for field in fields[:3]] != [INTEGER, SEQUENCE, SEQUENCE]:
        raise MalformedRequest("not a certificate")
    serial, _, issuer = fields[:3]
    return der.sequence(tbs[issuer.at : issuer.end], tbs[serial.at : serial.end])


def read_certificate(certificate: bytes) -> x509.Certificate:
    """Read one certificate in strict DER, as far as names and extensions.

    Raises:
        MalformedRequest: it cannot be read to the end.
    """
    der.check(certificate, limit_octets=LIMIT_OCTETS)
    check_bounds(certificate)
    with refusing("certificate"):
        loaded = x509.load_der_x509_certificate(certificate)
        # cryptography reads these only when they are asked for.
        _ = loaded.version, loaded.subject, loaded.issuer, loaded.extensions
        _ = loaded.not_valid_before_utc, loaded.not_valid_after_utc
        return loaded


class _AnyPublicKey(ec.EllipticCurvePublicKey):
    """Octets of a SubjectPublicKeyInfo in the shape that the builder takes.

    Of it the builder only calls `public_bytes`.
    """

    def __init__(self, spki: bytes) -> None:
        self._spki = spki

    def public_bytes(self, encoding: Encoding, format: PublicFormat) -> bytes:  # noqa: A002 - cryptography's name
        """Return the octets as they were given."""
        if (encoding, format) != (Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
            raise NotImplementedError
        return self._spki

    @property
    def curve(self) -> ec.EllipticCurve:
        """Not there."""
        raise NotImplementedError

    @property
    def key_size(self) -> int:
        """Not there."""
        raise NotImplementedError

    def public_numbers(self) -> ec.EllipticCurvePublicNumbers:
        """Not there."""
        raise NotImplementedError

    def verify(
        self,
        signature: object,
        data: object,
        signature_algorithm: ec.EllipticCurveSignatureAlgorithm,
    ) -> None:
        """Not there."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AnyPublicKey) and self._spki == other._spki

    def __hash__(self) -> int:
        return hash(self._spki)

    def __copy__(self) -> "_AnyPublicKey":
        return self

    def __deepcopy__(self, memo: object) -> "_AnyPublicKey":
        return self


def builder_public_key(spki: bytes) -> ec.EllipticCurvePublicKey:
    """Return a stand-in for `CertificateBuilder.public_key`, so that any key can be certified.

    Raises:
        MalformedRequest: it is not a SubjectPublicKeyInfo.
    """
    key_identifier(spki)
    return _AnyPublicKey(spki)
