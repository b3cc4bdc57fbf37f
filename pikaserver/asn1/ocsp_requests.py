"""OCSP requests (RFC 6960 section 4.1): read strictly, and made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    BIT_STRING,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    children,
    dotted,
    expect,
    read_element,
)
from pikaserver.asn1.ocsp import (
    ACCEPTABLE_RESPONSES,
    NONCE,
    PREFERRED_SIGNATURE_ALGORITHMS,
    SERVICE_LOCATOR,
    CertId,
    Extension,
    check_algorithm,
    explicit,
    extensions_element,
    read_cert_id,
    read_extensions,
    write_nonce,
)
from pikaserver.asn1.ocsp_usual import read_usual

T = TypeVar("T")

LIMIT_OCTETS = 64 * 1024
"""The largest request that we read."""

LIMIT_CERT_IDS = 20
"""For so many certificates at most one request may ask."""

LIMIT_NONCE_OCTETS = 128
"""RFC 9654 section 2.1."""

_VERSION, _REQUESTOR, _EXTENSIONS = 0xA0, 0xA1, 0xA2
_OPTIONAL = 0xA0
_DIRECTORY_NAME = 0xA4
_LOCATOR_PARTS = (1, 2)
_KNOWN = frozenset({NONCE, ACCEPTABLE_RESPONSES, PREFERRED_SIGNATURE_ALGORITHMS})


@dataclass(frozen=True, slots=True)
class RequestSignature:
    """By whom a request is signed, not looked at yet.

    ``tbs`` are the signed octets, ``algorithm`` is an AlgorithmIdentifier, ``certificates``
    are those that came with it, the signer's first; all in DER.
    """

    tbs: bytes
    algorithm: bytes
    signature: bytes
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """A question for the status of certificates.

    ``acceptable`` are the OIDs of response types that the requestor takes, ``None`` where it
    does not say.  ``preferred`` are AlgorithmIdentifiers, the best first.  ``requestor`` is
    the Name in DER by which it calls itself.
    """

    cert_ids: tuple[CertId, ...]
    nonce: bytes | None = None
    acceptable: tuple[str, ...] | None = None
    preferred: tuple[bytes, ...] = ()
    requestor: bytes | None = None
    signature: RequestSignature | None = None
    extensions: tuple[Extension, ...] = field(default=(), repr=False)
    """All of the request and of its single requests that have a meaning to nobody here."""


def read_request(octets: bytes) -> OcspRequest:
    """Read an OCSPRequest in strict DER; signatures are not verified.

    Raises:
        MalformedRequest: it is none, asks for nothing or for too much, has a nonce of no or
            more than 128 octets (RFC 9654), or a critical extension that we do not know.
    """
    usual = read_usual(octets)
    if usual is not None:
        return OcspRequest((usual[0],), usual[1])
    return read_any(octets)


def read_any(octets: bytes) -> OcspRequest:
    """Read an OCSPRequest of any form; see `read_request`."""
    der.check(octets, limit_octets=LIMIT_OCTETS)
    outer = list(children(octets))
    tags = [part.tag for part in outer]
    if octets[0] != SEQUENCE or tags not in ([SEQUENCE], [SEQUENCE, _OPTIONAL]):
        raise MalformedRequest("not an OCSPRequest")
    fields = _fields(octets, outer[0])
    cert_ids, unknown = _read_list(octets, fields[SEQUENCE])
    extensions = read_extensions(octets, fields[_EXTENSIONS]) if _EXTENSIONS in fields else []
    known = {one.oid: one.value for one in extensions if one.oid in _KNOWN}
    unknown += [one for one in extensions if one.oid not in _KNOWN]
    _refuse_critical(unknown)
    return OcspRequest(
        cert_ids=cert_ids,
        nonce=_read(known, NONCE, read_nonce),
        acceptable=_read(known, ACCEPTABLE_RESPONSES, _read_acceptable),
        preferred=_read(known, PREFERRED_SIGNATURE_ALGORITHMS, _read_preferred) or (),
        requestor=_requestor(octets, fields.get(_REQUESTOR)),
        signature=_signature(octets, *outer),
        extensions=tuple(unknown),
    )


def _read(known: Mapping[str, bytes], oid: str, reader: Callable[[bytes], T]) -> T | None:
    return reader(known[oid]) if oid in known else None


def _fields(octets: bytes, tbs: Element) -> dict[int, Element]:
    """Return the fields of TBSRequest by their tags."""
    fields = list(children(octets, tbs.at))
    tags = [field.tag for field in fields]
    # The fields that may stand there have rising numbers, around the list that must be there.
    order = [_RANK.get(tag, 0) for tag in tags]
    if SEQUENCE not in tags or order[:1] == [0] or any(a >= b for a, b in pairwise(order)):
        raise MalformedRequest("not a TBSRequest")
    if _VERSION in tags:
        raise MalformedRequest("not DER, or not version 1: a version that is spelt out")
    return dict(zip(tags, fields, strict=True))


_RANK = {_VERSION: 1, _REQUESTOR: 2, SEQUENCE: 3, _EXTENSIONS: 4}


def _read_list(octets: bytes, listed: Element) -> tuple[tuple[CertId, ...], list[Extension]]:
    cert_ids: list[CertId] = []
    unknown: list[Extension] = []
    for request in children(octets, listed.at):
        if len(cert_ids) == LIMIT_CERT_IDS:
            raise MalformedRequest(f"more than {LIMIT_CERT_IDS} certificates in one request")
        parts = list(children(octets, request.at)) if request.tag == SEQUENCE else []
        if [part.tag for part in parts] not in ([SEQUENCE], [SEQUENCE, _OPTIONAL]):
            raise MalformedRequest(f"expected a Request at octet {request.at}")
        cert_ids.append(read_cert_id(octets, parts[0]))
        for extension in read_extensions(octets, parts[1]) if parts[1:] else ():
            if extension.oid == SERVICE_LOCATOR:
                _check_locator(extension.value)
            else:
                unknown.append(extension)
    if not cert_ids:
        raise MalformedRequest("a request for no certificate")
    return tuple(cert_ids), unknown


def _refuse_critical(unknown: Iterable[Extension]) -> None:
    for extension in unknown:
        if extension.critical:
            raise MalformedRequest(f"the critical extension {extension.oid} is not known here")


def _requestor(octets: bytes, found: Element | None) -> bytes | None:
    """Return requestorName where it is a Name; other kinds of names prove nothing here."""
    if found is None:
        return None
    name = read_element(octets, found.start, found.end)
    if name.end != found.end or name.tag & 0xC0 != 0x80:  # noqa: PLR2004 - a context tag
        raise MalformedRequest("requestorName is no GeneralName")
    if name.tag != _DIRECTORY_NAME:
        return None
    inner = explicit(octets, name, SEQUENCE, "a directoryName")
    return octets[inner.at : inner.end]


def _signature(
    octets: bytes, tbs: Element, found: Element | None = None
) -> RequestSignature | None:
    if found is None:
        return None
    outer = explicit(octets, found, SEQUENCE, "a Signature")
    parts = list(children(octets, outer.at))
    if [part.tag for part in parts] not in (
        [SEQUENCE, BIT_STRING],
        [SEQUENCE, BIT_STRING, _OPTIONAL],
    ):
        raise MalformedRequest("not a Signature")
    bits = octets[parts[1].start : parts[1].end]
    if bits[0] != 0:
        raise MalformedRequest("a signature of no whole number of octets")
    certificates: tuple[bytes, ...] = ()
    if parts[2:]:
        listed = explicit(octets, parts[2], SEQUENCE, "certificates")
        certificates = tuple(octets[one.at : one.end] for one in children(octets, listed.at))
    return RequestSignature(
        tbs=octets[tbs.at : tbs.end],
        algorithm=check_algorithm(octets, parts[0]),
        signature=bits[1:],
        certificates=certificates,
    )


def read_nonce(value: bytes) -> bytes:
    """Return the nonce in an extension's value.

    Raises:
        MalformedRequest: it is none, or has not 1 to 128 octets (RFC 9654 section 2.1).
    """
    der.check(value)
    nonce = expect(value, read_element(value, 0), OCTET_STRING, "a nonce")
    if not 1 <= len(nonce) <= LIMIT_NONCE_OCTETS:
        raise MalformedRequest(f"a nonce of {len(nonce)} octets; 1 to {LIMIT_NONCE_OCTETS} count")
    return nonce


def _read_acceptable(value: bytes) -> tuple[str, ...]:
    """Read AcceptableResponses (RFC 6960 section 4.4.3)."""
    der.check(value)
    expect(value, read_element(value, 0), SEQUENCE, "acceptable responses")
    return tuple(dotted(expect(value, one, OID, "a response type")) for one in children(value))


def _read_preferred(value: bytes) -> tuple[bytes, ...]:
    """Read PreferredSignatureAlgorithms (RFC 6960 section 4.4.7.1); of each, how to sign."""
    der.check(value)
    expect(value, read_element(value, 0), SEQUENCE, "preferred signature algorithms")
    found: list[bytes] = []
    for one in children(value):
        parts = list(children(value, one.at)) if one.tag == SEQUENCE else []
        if [part.tag for part in parts] not in ([SEQUENCE], [SEQUENCE, SEQUENCE]):
            raise MalformedRequest("not a PreferredSignatureAlgorithm")
        found.append(check_algorithm(value, parts[0]))
    return tuple(found)


def _check_locator(value: bytes) -> None:
    """Look at a ServiceLocator (RFC 6960 section 4.4.6); it is for those who pass requests on."""
    der.check(value)
    parts = list(children(value))
    if value[0] != SEQUENCE or {part.tag for part in parts} != {SEQUENCE}:
        raise MalformedRequest("not a ServiceLocator")
    if len(parts) not in _LOCATOR_PARTS:
        raise MalformedRequest("not a ServiceLocator")


def write_request(
    cert_ids: Sequence[CertId], nonce: bytes | None = None, extensions: Sequence[bytes] = ()
) -> bytes:
    """Return an unsigned OCSPRequest."""
    asked = [der.sequence(one.der) for one in cert_ids]
    listed = [*extensions, *([write_nonce(nonce)] if nonce is not None else [])]
    tbs = der.sequence(der.sequence(*asked), extensions_element(2, listed))
    return der.sequence(tbs)
