"""CMS SignedData with one signer and signed attributes (RFC 5652 section 5), written."""

from collections.abc import Sequence
from dataclasses import dataclass

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.certificate import issuer_and_serial
from pikaserver.asn1.digests import DIGEST_OIDS, SHAKE_OIDS
from pikaserver.asn1.elements import CONSTRUCTED, CONTEXT, SEQUENCE, SET, Element, children
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.slh_dsa import PARAMETER_SETS
from pikaserver.asn1.weak_signatures import MD5_OID, WEAK_ALGORITHMS

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"

_DIGESTS = {**DIGEST_OIDS, **SHAKE_OIDS}
_TOLD_OF_CONTENT = {der.oid(CONTENT_TYPE), der.oid(MESSAGE_DIGEST)}

RSA_ENCRYPTION = identifier("1.2.840.113549.1.1.1", der.null())
"""How PKCS#1 v1.5 is named in SignerInfo (RFC 3370 section 3.2)."""


def digest_of(algorithm: str) -> str:
    """Return the hash that goes with a signature algorithm in SignerInfo.

    Ed25519 and ML-DSA hash by themselves; for signed attributes they go with SHA-512 (RFC 8419
    section 3.1, RFC 9882 section 3.3), SLH-DSA with the hash of its own kind (RFC 9814).
    """
    if algorithm in WEAK_ALGORITHMS:
        return WEAK_ALGORITHMS[algorithm]
    hashing = PARAMETER_SETS.get(algorithm)
    if hashing is None:
        return SIGNATURE_ALGORITHMS[algorithm].hash or "sha512"
    wide = hashing.category > 1
    if "shake" in algorithm:
        return "shake256" if wide else "shake128"
    return "sha512" if wide else "sha256"


def attribute(oid: str, value: bytes) -> bytes:
    """Return an Attribute with one value in DER."""
    return der.sequence(der.oid(oid), der.set_of(value))


def signed_attributes(content_type: str, digest: bytes, *others: bytes) -> bytes:
    """Return SignedAttributes as they are signed: an explicit SET OF in DER (section 5.4)."""
    return der.set_of(
        attribute(CONTENT_TYPE, der.oid(content_type)),
        attribute(MESSAGE_DIGEST, der.octet_string(digest)),
        *others,
    )


def is_signed_attributes(octets: bytes) -> bool:
    """Tell whether octets are SignedAttributes (RFC 5652 section 5.3) and so nothing else.

    They are a SET that names the type and the digest of a content; a TBSCertificate, a
    TBSCertList, a CertificationRequestInfo and a ResponseData are each a SEQUENCE.
    """
    try:
        der.check(octets)
        found = list(children(octets)) if octets[0] == SET else []
        names = [octets[kind.at : kind.end] for one in found for kind in _kind(octets, one)]
    except MalformedRequest:
        return False
    return {one.tag for one in found} == {SEQUENCE} and set(names) >= _TOLD_OF_CONTENT


def _kind(octets: bytes, attribute: Element) -> list[Element]:
    return list(children(octets, attribute.at))[:1] if attribute.tag == SEQUENCE else []


@dataclass(frozen=True, slots=True)
class Signed:
    """What one signer signed: ``attributes`` as `signed_attributes` gives them."""

    certificate: bytes
    algorithm: str
    attributes: bytes
    signature: bytes
    digest: str | None = None
    """The hash of the message digest where it is not the algorithm's own."""


def signed_data(
    content_type: str,
    content: bytes | None,
    signed: Signed,
    certificates: Sequence[bytes] = (),
    crls: Sequence[bytes] = (),
) -> bytes:
    """Return ContentInfo with SignedData; certificates stay in their order, the signer's first.

    Args:
        content_type: OID of the content.
        content: its octets, or ``None`` where the content travels elsewhere.
        signed: the signer's part.
        certificates: DER.
        crls: DER.
    """
    digest = _digest_identifier(signed.digest or digest_of(signed.algorithm))
    inside = b"" if content is None else der.context(0, der.octet_string(content))
    return der.sequence(
        der.oid(SIGNED_DATA),
        der.context(
            0,
            der.sequence(
                der.integer(1 if content_type == DATA else 3),
                der.set_of(digest),
                der.sequence(der.oid(content_type), inside),
                der.context(0, b"".join(certificates)) if certificates else b"",
                der.context(1, b"".join(crls)) if crls else b"",
                der.set_of(_signer_info(signed, digest)),
            ),
        ),
    )


def _digest_identifier(name: str) -> bytes:
    """Return a DigestAlgorithmIdentifier: MD5 has NULL, SHA-1 and SHA-2 nothing.

    RFC 3370 section 2, RFC 5754 section 2.
    """
    return identifier(MD5_OID, der.null()) if name == "md5" else identifier(_DIGESTS[name])


def _signature_identifier(algorithm: str) -> bytes:
    if algorithm in WEAK_ALGORITHMS:
        return RSA_ENCRYPTION
    entry = SIGNATURE_ALGORITHMS[algorithm]
    return RSA_ENCRYPTION if entry.family == "rsa" else entry.identifier


def _signer_info(signed: Signed, digest: bytes) -> bytes:
    return der.sequence(
        der.integer(1),
        issuer_and_serial(signed.certificate),
        digest,
        # Signed as a SET OF, carried as [0] IMPLICIT (section 5.3).
        bytes((CONTEXT | CONSTRUCTED,)) + signed.attributes[1:],
        _signature_identifier(signed.algorithm),
        der.octet_string(signed.signature),
    )
