"""OCSP answers (RFC 6960 section 4.2) as whoever asks reads them; nothing is verified here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    BIT_STRING,
    ENUMERATED,
    GENERALIZED_TIME,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    children,
    dotted,
    read_element,
)
from pikaserver.asn1.ocsp import (
    BASIC,
    INVALIDITY_DATE,
    LIMIT_OCTETS,
    NONCE,
    CertId,
    Extension,
    ResponseStatus,
    check_algorithm,
    explicit,
    read_cert_id,
    read_extensions,
    read_time,
)
from pikaserver.asn1.ocsp_requests import read_nonce

_BY_NAME, _BY_KEY = 0xA1, 0xA2
_GOOD, _REVOKED, _UNKNOWN = 0x80, 0xA1, 0x82
_NEXT_UPDATE, _EXTENSIONS = 0xA0, 0xA1
_OPTIONAL = 0xA0
_WORDS = {_GOOD: "good", _REVOKED: "revoked", _UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True)
class SingleAnswer:
    """What is said of one certificate; ``status`` is ``good``, ``revoked`` or ``unknown``."""

    cert_id: CertId
    status: str
    revocation: Revocation | None
    this_update: datetime
    next_update: datetime | None
    extensions: Mapping[str, Extension]


@dataclass(frozen=True, slots=True)
class BasicAnswer:
    """A signed answer, with what is needed to verify it.

    ``tbs`` are the signed octets, ``algorithm`` is an AlgorithmIdentifier in DER.  Either
    ``responder_name`` (a Name in DER) or ``responder_key_hash`` (SHA-1) is there.
    """

    tbs: bytes
    responder_name: bytes | None
    responder_key_hash: bytes | None
    produced_at: datetime
    answers: tuple[SingleAnswer, ...]
    nonce: bytes | None
    extensions: Mapping[str, Extension]
    algorithm: bytes
    signature: bytes
    certificates: tuple[bytes, ...]


def read_response(octets: bytes) -> tuple[ResponseStatus, BasicAnswer | None]:
    """Read an OCSPResponse in strict DER; an answer is there when its status is successful.

    Raises:
        MalformedRequest: it is none, or of another type than id-pkix-ocsp-basic.
    """
    der.check(octets, limit_octets=LIMIT_OCTETS)
    parts = list(children(octets))
    tags = [part.tag for part in parts]
    if octets[0] != SEQUENCE or tags not in ([ENUMERATED], [ENUMERATED, _OPTIONAL]):
        raise MalformedRequest("not an OCSPResponse")
    number = int.from_bytes(octets[parts[0].start : parts[0].end], "big", signed=True)
    try:
        status = ResponseStatus(number)
    except ValueError:
        raise MalformedRequest("an OCSPResponse of an unknown status") from None
    if (status is ResponseStatus.SUCCESSFUL) != bool(parts[1:]):
        raise MalformedRequest("the status of an OCSPResponse and its answer do not go together")
    return status, _basic(_response_octets(octets, parts[1])) if parts[1:] else None


def _response_octets(octets: bytes, found: Element) -> bytes:
    outer = explicit(octets, found, SEQUENCE, "responseBytes")
    parts = list(children(octets, outer.at))
    if [part.tag for part in parts] != [OID, OCTET_STRING]:
        raise MalformedRequest("expected a response's type and octets")
    kind = dotted(octets[parts[0].start : parts[0].end])
    if kind != BASIC:
        raise MalformedRequest(f"a response of type {kind}, which is not the basic one")
    return octets[parts[1].start : parts[1].end]


def _basic(octets: bytes) -> BasicAnswer:
    der.check(octets, limit_octets=LIMIT_OCTETS)
    parts = list(children(octets))
    tags = [part.tag for part in parts[:3]]
    if octets[0] != SEQUENCE or tags != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise MalformedRequest("not a BasicOCSPResponse")
    bits = octets[parts[2].start : parts[2].end]
    if bits[0] != 0:
        raise MalformedRequest("a signature of no whole number of octets")
    certificates: tuple[bytes, ...] = ()
    if parts[3:]:
        if [part.tag for part in parts[3:]] != [_OPTIONAL]:
            raise MalformedRequest("expected certificates at the end of BasicOCSPResponse")
        listed = explicit(octets, parts[3], SEQUENCE, "certificates")
        certificates = tuple(octets[one.at : one.end] for one in children(octets, listed.at))
    return _data(
        octets[parts[0].at : parts[0].end],
        check_algorithm(octets, parts[1]),
        bits[1:],
        certificates,
    )


def _data(
    tbs: bytes, algorithm: bytes, signature: bytes, certificates: tuple[bytes, ...]
) -> BasicAnswer:
    fields = list(children(tbs))
    tags = [field.tag for field in fields]
    if tags[:1] not in ([_BY_NAME], [_BY_KEY]) or tags[1:] not in (
        [GENERALIZED_TIME, SEQUENCE],
        [GENERALIZED_TIME, SEQUENCE, _EXTENSIONS],
    ):
        raise MalformedRequest("not a ResponseData of version 1")
    extensions = _by_oid(tbs, fields[3:])
    named = fields[0].tag == _BY_NAME
    inner = explicit(tbs, fields[0], SEQUENCE if named else OCTET_STRING, "a ResponderID")
    nonce = extensions.get(NONCE)
    answers = tuple(_single(tbs, one) for one in children(tbs, fields[2].at))
    if not answers:
        raise MalformedRequest("a ResponseData about no certificate")
    return BasicAnswer(
        tbs=tbs,
        responder_name=tbs[inner.at : inner.end] if named else None,
        responder_key_hash=None if named else tbs[inner.start : inner.end],
        produced_at=read_time(tbs, fields[1], "producedAt"),
        answers=answers,
        nonce=None if nonce is None else read_nonce(nonce.value),
        extensions=extensions,
        algorithm=algorithm,
        signature=signature,
        certificates=certificates,
    )


def _by_oid(octets: bytes, found: list[Element]) -> dict[str, Extension]:
    return {one.oid: one for outer in found for one in read_extensions(octets, outer)}


def _single(octets: bytes, found: Element) -> SingleAnswer:
    parts = list(children(octets, found.at)) if found.tag == SEQUENCE else []
    tags = [part.tag for part in parts]
    if tags[2:] not in (
        [GENERALIZED_TIME],
        [GENERALIZED_TIME, _NEXT_UPDATE],
        [GENERALIZED_TIME, _EXTENSIONS],
        [GENERALIZED_TIME, _NEXT_UPDATE, _EXTENSIONS],
    ):
        raise MalformedRequest(f"expected a SingleResponse at octet {found.at}")
    extensions = _by_oid(octets, [part for part in parts[3:] if part.tag == _EXTENSIONS])
    next_update = None
    if _NEXT_UPDATE in tags[3:]:
        inner = explicit(octets, parts[3], GENERALIZED_TIME, "nextUpdate")
        next_update = read_time(octets, inner, "nextUpdate")
    status = _WORDS.get(tags[1])
    if status is None or (tags[1] != _REVOKED and parts[1].start != parts[1].end):
        raise MalformedRequest(f"expected a CertStatus at octet {parts[1].at}")
    return SingleAnswer(
        cert_id=read_cert_id(octets, parts[0]),
        status=status,
        revocation=_revocation(octets, parts[1], extensions) if tags[1] == _REVOKED else None,
        this_update=read_time(octets, parts[2], "thisUpdate"),
        next_update=next_update,
        extensions=extensions,
    )


def _revocation(octets: bytes, found: Element, extensions: Mapping[str, Extension]) -> Revocation:
    parts = list(children(octets, found.at))
    if [part.tag for part in parts] not in ([GENERALIZED_TIME], [GENERALIZED_TIME, _OPTIONAL]):
        raise MalformedRequest("not a RevokedInfo")
    number = 0
    if parts[1:]:
        inner = explicit(octets, parts[1], ENUMERATED, "a CRLReason")
        number = int.from_bytes(octets[inner.start : inner.end], "big", signed=True)
    try:
        reason = RevocationReason(number)
    except ValueError:
        raise MalformedRequest("a revocation for an unknown reason") from None
    return Revocation(
        read_time(octets, parts[0], "revocationTime"), reason, _invalidity(extensions)
    )


def _invalidity(extensions: Mapping[str, Extension]) -> datetime | None:
    extension = extensions.get(INVALIDITY_DATE)
    if extension is None:
        return None
    der.check(extension.value)
    return read_time(extension.value, read_element(extension.value, 0), "invalidityDate")
