"""CMS SignedData with one signer and signed attributes (RFC 5652 section 5), read and verified."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pikaserver.api.errors import AlgorithmRefused, MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, algorithm_of, verify
from pikaserver.asn1.certificate import issuer_and_serial, public_key_of, read_certificate
from pikaserver.asn1.digests import DIGEST_NAMES, SHAKE_OIDS, digest
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    Element,
    children,
    dotted,
    expect,
    members,
)
from pikaserver.asn1.identifiers import key_identifier, read_oid
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.signed_data import (
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    RSA_ENCRYPTION,
    SIGNED_DATA,
)
from pikaserver.asn1.weak_signatures import MD5_OID, WEAK_HASHES, verify_weak, weak_hash

LIMIT_OCTETS = 1 << 20

_SIGNED_DATA = der.oid(SIGNED_DATA)
_FIRST, _SECOND = CONTEXT | CONSTRUCTED, CONTEXT | CONSTRUCTED | 1
_RSA_OID = read_oid(RSA_ENCRYPTION)
_DIGEST_NAMES = {
    **DIGEST_NAMES,
    **{oid: name for name, oid in SHAKE_OIDS.items()},
    MD5_OID: "md5",
}


@dataclass(frozen=True, slots=True)
class ReadSignedData:
    """SignedData as it was read; nothing is verified yet but its shape.

    ``attributes`` are the signed octets, ``values`` the one value (DER) of each by its OID;
    ``digest`` is our name of a hash, ``algorithm`` an AlgorithmIdentifier in DER.  ``identifier``
    names the signer: IssuerAndSerialNumber in DER, or ``[0]`` with a key identifier.
    """

    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    identifier: bytes
    digest: str
    attributes: bytes
    values: Mapping[str, bytes]
    algorithm: bytes
    signature: bytes

    def signer(self, others: Sequence[bytes] = ()) -> bytes:
        """Return the signer's certificate, from the message or else from others.

        Raises:
            MalformedRequest: it is not among them.
        """
        for certificate in (*self.certificates, *others):
            if self.names(certificate):
                return certificate
        raise MalformedRequest("the signer's certificate is not among those at hand")

    def names(self, certificate: bytes) -> bool:
        """Tell whether the signer is the holder of this certificate."""
        if self.identifier[0] == SEQUENCE:
            return self.identifier == issuer_and_serial(certificate)
        return self.names_key(public_key_of(read_certificate(certificate)))

    def names_key(self, spki: bytes) -> bool:
        """Tell whether the signer is named by the identifier of this key, certified or not."""
        return self.identifier[0] == CONTEXT and self.identifier[2:] == key_identifier(spki)

    def verify(
        self, certificate: bytes, content: bytes | None = None, *, weak: Collection[str] = ()
    ) -> None:
        """Check content type, digest and signature with the signer's certificate.

        Args:
            certificate: the signer's.
            content: what was signed, where it travels elsewhere.
            weak: hashes, SHA-1 or MD5, that count in RSA signatures all the same.

        Raises:
            MalformedRequest: the certificate or the algorithm are not accepted.
            SignatureFaulty: one of them does not hold.
        """
        self.verify_by(public_key_of(read_certificate(certificate)), content, weak=weak)

    def verify_by(
        self, spki: bytes, content: bytes | None = None, *, weak: Collection[str] = ()
    ) -> None:
        """Check the same with a key (SubjectPublicKeyInfo) that needs no certificate.

        Raises:
            MalformedRequest: the algorithm is not accepted.
            SignatureFaulty: one of them does not hold.
        """
        if self.digest == "md5" and "md5" not in weak:
            raise AlgorithmRefused("the digest MD5 is broken and not accepted here")
        octets = self.content if content is None else content
        typed = self.values.get(CONTENT_TYPE) == der.oid(self.content_type)
        wanted = der.octet_string(digest(self.digest, octets or b""))
        if octets is None or not typed or self.values.get(MESSAGE_DIGEST) != wanted:
            raise SignatureFaulty("the signed attributes are not about this content")
        if self.weak_hash is not None:
            verify_weak(spki, self.weak_hash, self.signature, self.attributes, accepted=weak)
        else:
            verify(spki, self._algorithm(), self.signature, self.attributes)

    @property
    def weak_hash(self) -> str | None:
        """The weak hash of an RSA signature, if it is made with one."""
        if read_oid(self.algorithm) == _RSA_OID and self.digest in WEAK_HASHES:
            return self.digest
        return weak_hash(self.algorithm)

    def _algorithm(self) -> str:
        if read_oid(self.algorithm) != _RSA_OID:
            return algorithm_of(self.algorithm)
        name = f"rsa-{self.digest}"
        if name not in SIGNATURE_ALGORITHMS:
            raise AlgorithmRefused(f"{self.digest} with RSA is not accepted")
        return name


def read_signed_data(octets: bytes) -> ReadSignedData:
    """Read ContentInfo with SignedData of one signer who signed attributes.

    Raises:
        MalformedRequest: it is something else.
    """
    with refusing("SignedData"):
        der.check(octets, limit_octets=LIMIT_OCTETS)
        return _read(octets)


def _read(octets: bytes) -> ReadSignedData:
    kind, outer = members(octets, "a ContentInfo")
    if octets[kind.at : kind.end] != _SIGNED_DATA or outer.tag != _FIRST:
        raise MalformedRequest("not a SignedData")
    fields = members(octets, "a SignedData", _only(octets, outer).at)
    version, _digests, content, *rest, signers = fields
    expect(octets, version, INTEGER, "a version")
    expect(octets, signers, SET, "signers")
    if [field.tag for field in rest] not in ([], [_FIRST], [_SECOND], [_FIRST, _SECOND]):
        raise MalformedRequest("a SignedData with fields that do not belong")
    certificates = tuple(
        octets[one.at : one.end]
        for field in rest
        if field.tag == _FIRST
        for one in children(octets, field.at)
        if one.tag == SEQUENCE  # others are attribute certificates and the like
    )
    content_type, inside = _content(octets, content)
    return _signer(octets, _only(octets, signers), content_type, inside, certificates)


def _only(octets: bytes, outer: Element) -> Element:
    (found,) = children(octets, outer.at)
    return found


def _content(octets: bytes, field: Element) -> tuple[str, bytes | None]:
    kind, *rest = members(octets, "an EncapsulatedContentInfo", field.at)
    content_type = dotted(expect(octets, kind, OID, "the type of the content"))
    if not rest:
        return content_type, None
    (explicit,) = rest
    expect(octets, explicit, _FIRST, "the content")
    inside = _only(octets, explicit)
    return content_type, expect(octets, inside, OCTET_STRING, "the content's octets")


def _signer(
    octets: bytes,
    signer: Element,
    content_type: str,
    content: bytes | None,
    certificates: tuple[bytes, ...],
) -> ReadSignedData:
    parts = members(octets, "a SignerInfo", signer.at)
    tags = [part.tag for part in parts]
    shape = [INTEGER, SEQUENCE, SEQUENCE, _FIRST, SEQUENCE, OCTET_STRING]
    if tags[1:2] == [CONTEXT]:
        shape[1] = CONTEXT
    if tags not in (shape, [*shape, _SECOND]):
        raise MalformedRequest("a signer without signed attributes, or of another shape")
    _, name, hashed, attributes, algorithm, signature = parts[:6]
    oid = read_oid(octets[hashed.at : hashed.end])
    if oid not in _DIGEST_NAMES:
        raise AlgorithmRefused(f"the digest {oid} is not accepted")
    return ReadSignedData(
        content_type=content_type,
        content=content,
        certificates=certificates,
        identifier=octets[name.at : name.end],
        digest=_DIGEST_NAMES[oid],
        # Carried as [0] IMPLICIT, signed as a SET OF (section 5.4).
        attributes=bytes((SET,)) + octets[attributes.at + 1 : attributes.end],
        values=_values(octets, attributes),
        algorithm=octets[algorithm.at : algorithm.end],
        signature=octets[signature.start : signature.end],
    )


def _values(octets: bytes, attributes: Element) -> dict[str, bytes]:
    """Return the values of attributes; each is there once and has one (section 11)."""
    found: dict[str, bytes] = {}
    for one in children(octets, attributes.at):
        kind, values = members(octets, "an attribute", one.at)
        oid = dotted(expect(octets, kind, OID, "the type of an attribute"))
        expect(octets, values, SET, "the values of an attribute")
        value = _only(octets, values)
        if oid in found:
            raise MalformedRequest(f"the attribute {oid} is there twice")
        found[oid] = octets[value.at : value.end]
    return found
