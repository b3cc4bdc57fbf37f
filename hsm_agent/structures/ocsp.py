"""ResponseData (RFC 6960 section 4.2.1): what an OCSP responder says, and of which certificates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cryptography.x509 import ocsp

from hsm_agent.structures import der, writing
from hsm_agent.structures.algorithms import DIGEST_OCTETS, SIGNATURE_ALGORITHMS, hash_name
from hsm_agent.structures.der import (
    BOOLEAN,
    ENUMERATED,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    Malformed,
    encoded,
)
from hsm_agent.structures.kinds import OCSP
from hsm_agent.structures.loading import check_bounds, explicit, loading

LIMIT_OCTETS = 1 << 20

_BY_NAME = 0xA1
_BY_KEY = 0xA2
_NEXT_UPDATE = 0xA0
_EXTENSIONS = 0xA1
_STATUS: Mapping[int, str] = MappingProxyType({0x80: "good", 0xA1: "revoked", 0x82: "unknown"})
_KEY_HASH_OCTETS = 20
_IDENTIFIER = SIGNATURE_ALGORITHMS["ed25519"].identifier
_BASIC_RESPONSE = writing.oid("1.3.6.1.5.5.7.48.1.1")


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of one certificate; the hashes are those of its issuer's name and key."""

    hash: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    status: str
    this_update: datetime
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class ResponseData:
    """An OCSP answer that is to be; the responder is told by Name (DER) or by key hash.

    ``critical`` are the OIDs of all critical extensions, of the whole and of single answers.
    """

    responder_name: bytes
    responder_key_hash: bytes
    produced_at: datetime
    answers: tuple[Answer, ...]
    critical: tuple[str, ...]
    kind: str = OCSP


def read_response_data(tbs: bytes) -> ResponseData:
    """Read a ResponseData of version 1.

    Raises:
        Malformed: it is too large, not canonical DER, answers for no certificate, or has a
            field that RFC 6960 does not.
    """
    if len(tbs) > LIMIT_OCTETS:
        raise Malformed(f"a ResponseData of more than {LIMIT_OCTETS} octets")
    parts = der.fields(tbs, der.whole(tbs, "ResponseData"), "a ResponseData")
    tags = [part.tag for part in parts]
    if tags not in [
        [by, GENERALIZED_TIME, SEQUENCE, *rest]
        for by in (_BY_NAME, _BY_KEY)
        for rest in ([], [_EXTENSIONS])
    ]:
        raise Malformed("not a ResponseData: other fields than those of its type")
    _load(tbs)
    critical = _critical(tbs, parts[3:])
    answers = []
    for single in der.children(tbs, parts[2]):
        answer, more = _read_answer(tbs, single)
        answers.append(answer)
        critical += more
    if not answers:
        raise Malformed("a ResponseData without an answer")
    name, key_hash = _responder(tbs, parts[0])
    produced_at = der.generalized_time(tbs, parts[1], "producedAt")
    return ResponseData(name, key_hash, produced_at, tuple(answers), tuple(critical))


def _load(tbs: bytes) -> None:
    check_bounds(tbs)
    basic = writing.signed(tbs, _IDENTIFIER)
    response = writing.sequence(_BASIC_RESPONSE, writing.element(OCTET_STRING, basic))
    octets = writing.sequence(
        writing.element(ENUMERATED, b"\0"), writing.element(_NEXT_UPDATE, response)
    )
    with loading("the ResponseData"):
        loaded = ocsp.load_der_ocsp_response(octets)
        if loaded.tbs_response_bytes != tbs:
            raise Malformed("the ResponseData is not in its one encoding")
        _ = loaded.extensions, loaded.responder_name


def _responder(tbs: bytes, found: Element) -> tuple[bytes, bytes]:
    if found.tag == _BY_NAME:
        return encoded(tbs, explicit(tbs, found)), b""
    inside = explicit(tbs, found, OCTET_STRING)
    key_hash = tbs[inside.start : inside.end]
    if len(key_hash) != _KEY_HASH_OCTETS:
        raise Malformed("a responderID that is not the SHA-1 of a key")
    return b"", key_hash


def _read_answer(tbs: bytes, single: Element) -> tuple[Answer, list[str]]:
    parts = der.fields(tbs, single, "a SingleResponse", SEQUENCE)
    rest = [part.tag for part in parts[3:]]
    if (
        len(parts) < 3  # noqa: PLR2004 - certID, certStatus, thisUpdate
        or parts[1].tag not in _STATUS
        or rest not in ([], [_NEXT_UPDATE], [_EXTENSIONS], [_NEXT_UPDATE, _EXTENSIONS])
    ):
        raise Malformed("not a SingleResponse: other fields than those of its type")
    next_update = None
    if rest[:1] == [_NEXT_UPDATE]:
        inside = explicit(tbs, parts[3], GENERALIZED_TIME)
        next_update = der.generalized_time(tbs, inside, "nextUpdate")
    hashed, name_hash, key_hash, serial = _certificate_id(tbs, parts[0])
    answer = Answer(
        hash=hashed,
        issuer_name_hash=name_hash,
        issuer_key_hash=key_hash,
        serial=serial,
        status=_STATUS[parts[1].tag],
        this_update=der.generalized_time(tbs, parts[2], "thisUpdate"),
        next_update=next_update,
    )
    return answer, _critical(tbs, [part for part in parts[3:] if part.tag == _EXTENSIONS])


def _certificate_id(tbs: bytes, found: Element) -> tuple[str, bytes, bytes, int]:
    tags = (SEQUENCE, OCTET_STRING, OCTET_STRING, INTEGER)
    parts = der.fields(tbs, found, "a CertID", *tags)
    hashed = hash_name(tbs[parts[0].at : parts[0].end])
    name_hash, key_hash = (tbs[part.start : part.end] for part in parts[1:3])
    if {len(name_hash), len(key_hash)} != {DIGEST_OCTETS.get(hashed)}:
        raise Malformed("a CertID whose hashes are not those of its algorithm")
    serial = der.integer(tbs, parts[3], "a serial number")
    # A question may name any serial; what no certificate can have is answered, too.
    return hashed, name_hash, key_hash, serial


def _critical(tbs: bytes, listed: list[Element]) -> list[str]:
    """Return the OIDs of critical extensions; an extension that comes twice is refused."""
    found: list[str] = []
    critical: list[str] = []
    for outer in listed:
        for extension in der.children(tbs, explicit(tbs, outer)):
            parts = der.fields(tbs, extension, "an extension", 0x06)
            oid = der.object_identifier(tbs, parts[0], "an extension")
            if oid in found:
                raise Malformed(f"the extension {oid} is there twice")
            found.append(oid)
            if parts[1].tag == BOOLEAN:
                critical.append(oid)
    return critical
