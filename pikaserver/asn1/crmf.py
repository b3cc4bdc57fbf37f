"""CRMF (RFC 4211): one request that is signed by its key, read like PKCS#10."""

from dataclasses import replace

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.elements import (
    BIT_STRING,
    CONSTRUCTED,
    CONTEXT,
    INTEGER,
    SEQUENCE,
    Element,
    children,
    expect,
    members,
)
from pikaserver.asn1.identifiers import UNSIGNED
from pikaserver.asn1.refusing import refusing

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_SIGNATURE = CONTEXT | CONSTRUCTED | 1
_KEY_ENCIPHERMENT = CONTEXT | CONSTRUCTED | 2
_SUBSEQUENT_MESSAGE = CONTEXT | 1
_SUBJECT = CONTEXT | CONSTRUCTED | 5
_PUBLIC_KEY = CONTEXT | CONSTRUCTED | 6
_EXTENSIONS = CONTEXT | CONSTRUCTED | 9


def read_request_message(octets: bytes) -> CertificationRequest:
    """Read CertReqMsg with subject, public key, and the key's signature over CertRequest.

    A key that cannot sign may say that it waits to be challenged (RFC 4211 section 4.2); the
    request is unsigned then.  Other proofs of possession are not taken.

    Raises:
        MalformedRequest: it cannot be read, or lacks one of these.
    """
    der.check(octets)
    with refusing("CertReqMsg"):
        wished, *proofs = members(octets, "CertReqMsg")
        number, template, *_controls = members(octets, "CertRequest", wished.at)
        expect(octets, number, INTEGER, "the number of a request")
        algorithm, signature = _proof(octets, proofs)
        likeness = _as_pkcs10(octets, template, algorithm, signature)
        tbs = octets[wished.at : wished.end]
        return replace(read_csr(likeness), der=octets, tbs=tbs)


def read_any_request(octets: bytes) -> CertificationRequest:
    """Read a request in PKCS#10 or in CRMF, whichever it is.

    Raises:
        MalformedRequest: it is neither.
    """
    return read_request_message(octets) if is_request_message(octets) else read_csr(octets)


def is_request_message(octets: bytes) -> bool:
    """Tell a request in CRMF from one in PKCS#10, whose second part is an algorithm."""
    tags = [part.tag for part in children(octets)]
    return tags[:1] == [SEQUENCE] and tags[1:2] != [SEQUENCE]


def _proof(octets: bytes, proofs: list[Element]) -> tuple[bytes, bytes]:
    """Return algorithm and signature, both in DER."""
    for proof in proofs:
        if proof.tag == _SIGNATURE:
            return _signature(octets, proof)
        if proof.tag == _KEY_ENCIPHERMENT:
            if [part.tag for part in children(octets, proof.at)] != [_SUBSEQUENT_MESSAGE]:
                raise MalformedRequest("keys prove possession by a challenge, not by being sent")
            return UNSIGNED, der.bit_string(b"")
    raise MalformedRequest("a request in CRMF has to be signed by its own key")


def _signature(octets: bytes, proof: Element) -> tuple[bytes, bytes]:
    """Return algorithm and signature of POPOSigningKey, both in DER.

    Its own input belongs to requests that name subject or key elsewhere (section 4.1).
    """
    parts = list(children(octets, proof.at))
    if [part.tag for part in parts] != [SEQUENCE, BIT_STRING]:
        raise MalformedRequest(
            "expected a signature over the request itself (RFC 4211 section 4.1)"
        )
    algorithm, signature = (octets[part.at : part.end] for part in parts)
    return algorithm, signature


def _as_pkcs10(octets: bytes, template: Element, algorithm: bytes, signature: bytes) -> bytes:
    """Return what PKCS#10 would say, so that one reader reads both; its signature is another's."""
    fields = {field.tag: field for field in children(octets, template.at)}
    if _SUBJECT not in fields or _PUBLIC_KEY not in fields:
        raise MalformedRequest("a request in CRMF has to name subject and public key")
    (subject,) = children(octets, fields[_SUBJECT].at)
    key = fields[_PUBLIC_KEY]
    attributes = b""
    if _EXTENSIONS in fields:
        extensions = _retagged(octets, fields[_EXTENSIONS])
        attributes = der.sequence(der.oid(_EXTENSION_REQUEST), der.set_of(extensions))
    info = der.sequence(
        der.integer(0),
        octets[subject.at : subject.end],
        _retagged(octets, key),
        der.context(0, attributes),
    )
    return der.sequence(info, algorithm, signature)


def _retagged(octets: bytes, element: Element) -> bytes:
    """Return a SEQUENCE whose tag an implicit one had replaced."""
    return bytes((SEQUENCE,)) + octets[element.at + 1 : element.end]
