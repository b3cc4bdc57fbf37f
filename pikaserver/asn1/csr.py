"""PKCS#10 requests (RFC 2986): read with patience for real clients, verified, and made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cryptography import x509

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import (
    SIGNATURE_ALGORITHMS,
    algorithm_of,
    key_type,
    public_key,
    refuse_parameters,
    verify,
)
from pikaserver.asn1.csr_tidying import tidied
from pikaserver.asn1.elements import (
    BIT_STRING,
    INTEGER,
    OID,
    SEQUENCE,
    SET,
    children,
    dotted,
    expect,
    read_element,
)
from pikaserver.asn1.identifiers import key_algorithm, read_oid
from pikaserver.asn1.names import check_bounds
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.weak_signatures import verify_weak, weak_hash

LIMIT_OCTETS = 65_536
"""The largest CSR that we read."""

_ATTRIBUTES = 0xA0
_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
# Windows before Vista wrote its own OID for the same thing.
_EXTENSION_REQUESTS = (_EXTENSION_REQUEST, "1.3.6.1.4.1.311.2.1.14")
_CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"  # noqa: S105 - an OID
_STRINGS = {  # DirectoryString (RFC 5280 section 4.1.2.4), and IA5String, which some clients use
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the parts of a CSR stand in its octets."""

    tbs: bytes
    signature_algorithm: bytes
    signature: bytes
    subject: bytes
    public_key: bytes
    attributes: bytes
    """``[0]`` with its tag, empty where the client left it out."""


def read_csr(octets: bytes) -> CertificationRequest:
    """Read a request in DER; nothing of it is believed, its signature is not looked at.

    Of DER only the order of a SET OF may be missed: strongSwan does not sort its attributes.

    Raises:
        MalformedRequest: it is not a PKCS#10 request, has two extension requests, an
            extension twice, or something in it that cannot be read.
    """
    der.check(octets, limit_octets=LIMIT_OCTETS)
    parts = _split(octets)
    attributes = _read_attributes(parts.attributes)
    refuse_parameters(parts.signature_algorithm)
    refuse_parameters(key_algorithm(parts.public_key))
    check_bounds(parts.subject)
    check_bounds(parts.attributes)
    subject, extensions = _load(octets)
    return CertificationRequest(
        der=octets,
        tbs=parts.tbs,
        subject=subject,
        public_key=parts.public_key,
        names=_alternative_names(extensions),
        extensions=extensions,
        challenge_password=_challenge_password(attributes),
        signature_algorithm=parts.signature_algorithm,
        signature=parts.signature,
    )


def read_csr_text(text: bytes) -> CertificationRequest:
    """Read a request in PEM, which must hold exactly one, or in DER.

    Raises:
        MalformedRequest: see `read_csr`.
    """
    if not der.is_pem(text):
        return read_csr(text)
    found = der.read_pem(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
    if len(found) != 1:
        raise MalformedRequest(f"expected one certificate request, found {len(found)}")
    return read_csr(found[0])


def verify_possession(csr: CertificationRequest, *, weak: Collection[str] = ()) -> None:
    """Return when the request is signed by the private key of its public key (RFC 2986).

    Weak hashes that somebody chose to accept, SHA-1 and MD5, are named in ``weak``.

    Raises:
        MalformedRequest: it is not, or it is signed with an algorithm that proves nothing.
    """
    _verify(csr, weak)


def check_possession(octets: bytes, *, weak: Collection[str] = (), instead: bytes) -> None:
    """Do the same to a request in DER before anything else of it is read.

    For doors where it tells something how far reading got: where nothing can be verified, that
    of ``instead``, a request that does not hold, is.

    Raises:
        MalformedRequest: it is no request, or not signed by the key that it names.
    """
    try:
        parts = _verifiable(octets, weak)
    except MalformedRequest:
        parts = _verifiable(instead, weak)
    _verify(parts, weak)


def _verifiable(octets: bytes, weak: Collection[str]) -> _Parts:
    der.check(octets, limit_octets=LIMIT_OCTETS)
    parts = _split(octets)
    _signed_with(parts, weak)
    public_key(parts.public_key)
    return parts


def _signed_with(
    csr: CertificationRequest | _Parts, weak: Collection[str]
) -> tuple[str | None, str]:
    """Return the weak hash of a signature, if it is one, and else its algorithm."""
    broken = weak_hash(csr.signature_algorithm)
    algorithm = "" if broken in weak else algorithm_of(csr.signature_algorithm)
    if key_type(csr.public_key) == "unknown":
        kind = read_oid(key_algorithm(csr.public_key))
        raise MalformedRequest(f"the key's algorithm {kind}, or its parameters, is not known")
    return broken, algorithm


def _verify(csr: CertificationRequest | _Parts, weak: Collection[str]) -> None:
    broken, algorithm = _signed_with(csr, weak)
    try:
        if broken is not None:
            verify_weak(csr.public_key, broken, csr.signature, csr.tbs, accepted=weak)
        else:
            verify(csr.public_key, algorithm, csr.signature, csr.tbs, any_salt=True)
    except SignatureFaulty:
        raise MalformedRequest("the request is not signed by the key that it names") from None


def request_info(
    subject: x509.Name,
    spki: bytes,
    extensions: Sequence[x509.Extension[x509.ExtensionType]],
    *others: bytes,
) -> bytes:
    """Return a CertificationRequestInfo (RFC 2986 section 4.1), with other attributes in DER."""
    encoded = [
        der.sequence(
            der.oid(extension.oid.dotted_string),
            der.boolean(value=True) if extension.critical else b"",
            der.octet_string(extension.value.public_bytes()),
        )
        for extension in extensions
    ]
    request = der.sequence(der.oid(_EXTENSION_REQUEST), der.set_of(der.sequence(*encoded)))
    attributes = der.context(0, b"".join(sorted([*others, *([request] if encoded else [])])))
    return der.sequence(der.integer(0), subject.public_bytes(), spki, attributes)


def assemble_csr(tbs: bytes, algorithm: str, signature: bytes) -> bytes:
    """Return the request in DER, after reading it once more and checking its signature.

    Raises:
        SignatureFaulty: what was read is not what was to be signed, or does not verify.
    """
    octets = der.signed(tbs, SIGNATURE_ALGORITHMS[algorithm].identifier, signature)
    try:
        request = read_csr(octets)
        verify_possession(request)
    except MalformedRequest as broken:
        raise SignatureFaulty(f"the assembled request is faulty: {broken}") from None
    if request.tbs != tbs:
        raise SignatureFaulty("the assembled request is not the one that was to be signed")
    return octets


def _split(octets: bytes) -> _Parts:
    outer = list(children(octets))
    tags = [read_element(octets, 0).tag, *(part.tag for part in outer)]
    if tags != [SEQUENCE, SEQUENCE, SEQUENCE, BIT_STRING]:
        raise MalformedRequest("not a PKCS#10 request")
    signature = octets[outer[2].start : outer[2].end]
    if signature[0] != 0:
        raise MalformedRequest("a signature of no whole number of octets")
    info = list(children(octets, outer[0].at))
    if [part.tag for part in info[:3]] != [INTEGER, SEQUENCE, SEQUENCE]:
        raise MalformedRequest("not a CertificationRequestInfo")
    if len(info) > 4 or any(part.tag != _ATTRIBUTES for part in info[3:]):  # noqa: PLR2004 - four fields
        raise MalformedRequest("expected attributes at the end of CertificationRequestInfo")
    return _Parts(
        tbs=octets[outer[0].at : outer[0].end],
        signature_algorithm=octets[outer[1].at : outer[1].end],
        signature=signature[1:],
        subject=octets[info[1].at : info[1].end],
        public_key=octets[info[2].at : info[2].end],
        attributes=octets[info[3].at : info[3].end] if info[3:] else b"",
    )


def _read_attributes(octets: bytes) -> dict[str, bytes]:
    """Return the one value of each attribute that we read, by OID."""
    found: dict[str, bytes] = {}
    for attribute in children(octets) if octets else ():
        parts = list(children(octets, attribute.at))
        if attribute.tag != SEQUENCE or [part.tag for part in parts] != [OID, SET]:
            raise MalformedRequest(f"not an attribute at octet {attribute.at} of the attributes")
        name = dotted(expect(octets, parts[0], OID, "an attribute's OID"))
        if name in _EXTENSION_REQUESTS:
            name = _EXTENSION_REQUEST
        elif name != _CHALLENGE_PASSWORD:
            continue
        if name in found:
            raise MalformedRequest(f"the attribute {name} is there twice")
        values = list(children(octets, parts[1].at))
        if len(values) != 1:
            raise MalformedRequest(f"the attribute {name} has {len(values)} values instead of one")
        found[name] = octets[values[0].at : values[0].end]
    return found


def _challenge_password(attributes: dict[str, bytes]) -> str | None:
    octets = attributes.get(_CHALLENGE_PASSWORD)
    if octets is None:
        return None
    value = read_element(octets, 0)
    encoding = _STRINGS.get(value.tag)
    if encoding is None:
        raise MalformedRequest("the challengePassword is not a string")
    try:
        return octets[value.start : value.end].decode(encoding)
    except UnicodeDecodeError:
        raise MalformedRequest("the challengePassword cannot be decoded") from None


def _load(octets: bytes) -> tuple[x509.Name, tuple[x509.Extension[x509.ExtensionType], ...]]:
    """Let cryptography read names and extensions; a sorted copy where it insists on order."""
    with refusing("request"):
        try:
            request = x509.load_der_x509_csr(octets)
        except ValueError:
            request = x509.load_der_x509_csr(tidied(octets))
        return request.subject, tuple(request.extensions)


def _alternative_names(
    extensions: tuple[x509.Extension[x509.ExtensionType], ...],
) -> tuple[x509.GeneralName, ...]:
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return tuple(extension.value)
    return ()
