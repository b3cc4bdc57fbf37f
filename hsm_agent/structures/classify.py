"""Octets that are to be signed, read as the one structure that they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hsm_agent.structures.certificate import TbsCertificate, read_tbs_certificate
from hsm_agent.structures.crl import TbsCertList, read_tbs_cert_list
from hsm_agent.structures.csr import RequestInfo, read_request_info
from hsm_agent.structures.der import (
    GENERALIZED_TIME,
    INTEGER,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    Malformed,
)
from hsm_agent.structures.kinds import PROOF, PROOF_LABEL, PROOF_OCTETS, RAW
from hsm_agent.structures.ocsp import ResponseData, read_response_data
from hsm_agent.structures.signed_attributes import SignedAttributes, read_signed_attributes
from hsm_agent.structures.timestamp import TimeStamp, read_time_stamp

__all__ = ["Malformed", "Proof", "Raw", "Structure", "classify", "outline"]


@dataclass(frozen=True, slots=True)
class Proof:
    """`PROOF_LABEL` and a challenge: the key is here."""

    challenge: bytes
    kind: str = PROOF


@dataclass(frozen=True, slots=True)
class Raw:
    """Octets that look like nothing that is known here."""

    octets: bytes
    kind: str = RAW


Structure = (
    TbsCertificate
    | TbsCertList
    | ResponseData
    | RequestInfo
    | SignedAttributes
    | TimeStamp
    | Proof
    | Raw
)

# How each structure begins, below its SEQUENCE; no beginning is that of two.
_READERS: Mapping[tuple[int, ...], Callable[[bytes], Structure]] = {
    (0xA0, INTEGER, SEQUENCE, SEQUENCE): read_tbs_certificate,
    (INTEGER, SEQUENCE, SEQUENCE, SEQUENCE): read_tbs_certificate,  # version 1, refused there
    (INTEGER, SEQUENCE, SEQUENCE, UTC_TIME): read_tbs_cert_list,
    (INTEGER, SEQUENCE, SEQUENCE, GENERALIZED_TIME): read_tbs_cert_list,
    (SEQUENCE, SEQUENCE, UTC_TIME): read_tbs_cert_list,  # version 1, refused there
    (SEQUENCE, SEQUENCE, GENERALIZED_TIME): read_tbs_cert_list,
    (0xA1, GENERALIZED_TIME, SEQUENCE): read_response_data,
    (0xA2, GENERALIZED_TIME, SEQUENCE): read_response_data,
    (0xA0, 0xA1, GENERALIZED_TIME, SEQUENCE): read_response_data,  # a version, refused there
    (0xA0, 0xA2, GENERALIZED_TIME, SEQUENCE): read_response_data,
    (INTEGER, SEQUENCE, SEQUENCE, 0xA0): read_request_info,
    (INTEGER, SEQUENCE, SEQUENCE): read_request_info,  # whatever follows, refused there
}
_LONGEST = 4
_INDEFINITE = 0x80
_END_OF_CONTENTS = b"\0\0"


def classify(tbs: bytes, content: bytes = b"") -> Structure:
    """Return what these octets are.

    Whatever begins like a structure, even in BER, has to be strictly that one: no key, not
    even one for raw octets, signs what somebody else may take for a certificate.

    Args:
        tbs: the octets that are to be signed.
        content: what signed attributes stand for: a TSTInfo, nothing else.

    Raises:
        Malformed: they look like a structure that we know and are not strictly one.
    """
    if not tbs:
        raise Malformed("there is nothing to sign")
    structure = _read(tbs)
    if not content:
        return structure
    if not isinstance(structure, SignedAttributes):
        raise Malformed("a content goes with signed attributes only")
    return read_time_stamp(structure, content)


def _read(tbs: bytes) -> Structure:
    if tbs.startswith(PROOF_LABEL):
        if len(tbs) != len(PROOF_LABEL) + PROOF_OCTETS:
            raise Malformed(f"a proof is of {PROOF_OCTETS} octets")
        return Proof(tbs[len(PROOF_LABEL) :])
    tag, tags = outline(tbs)
    if tag == SET and tags[:2] == (SEQUENCE, OID):
        return read_signed_attributes(tbs)
    if tag == SEQUENCE:
        reader = _READERS.get(tags) or _READERS.get(tags[:3])
        if reader is not None:
            return reader(tbs)
    return Raw(tbs)


def outline(octets: bytes) -> tuple[int, tuple[int, ...]]:
    """Return the outer tag and those of the first elements inside, read with all patience.

    Of a SET they are those of its first element and the first one inside that.  Lengths in
    BER are followed; where nothing can be followed any more the outline ends.
    """
    if len(octets) <= 1:
        return 0, ()
    tags: list[int] = []
    at = _start(octets, 0)
    while len(tags) < _LONGEST and at + 1 < len(octets):
        tags.append(octets[at])
        at = _start(octets, at) if octets[0] == SET else _end(octets, at)
    return octets[0], tuple(tags)


def _start(octets: bytes, at: int) -> int:
    size = octets[at + 1]
    return at + 2 + (size & 0x7F if size > _INDEFINITE else 0)


def _end(octets: bytes, at: int) -> int:
    """Return where an element ends; one of indefinite length is walked through."""
    open_ones = 0
    while at + 1 < len(octets):
        start, size = _start(octets, at), octets[at + 1]
        if size == _INDEFINITE:
            open_ones += 1
        elif size > _INDEFINITE:
            start += int.from_bytes(octets[at + 2 : start], "big")
        else:
            start += size
            open_ones -= octets[at : at + 2] == _END_OF_CONTENTS
        at = start
        if open_ones <= 0:
            break
    return at
