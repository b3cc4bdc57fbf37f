"""What octets are to be signed for, seen from the outside: for histories and people alone."""

import hashlib
from itertools import islice

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    GENERALIZED_TIME,
    INTEGER,
    SEQUENCE,
    SET,
    UTC_TIME,
    children,
)

PROOF_LABEL = b"hsm-agent key proof v1\0"
PROOF_OCTETS = 32
CERTIFICATE, CRL, CSR, ATTRIBUTES = "certificate", "crl", "csr", "attributes"
STATUS, PROOF, OTHER = "status", "proof", "other"

_TAGGED = CONTEXT | CONSTRUCTED
_TIMES = (UTC_TIME, GENERALIZED_TIME)
_ENOUGH = 4


def purpose_of(tbs: bytes) -> str:
    """Say what kind of structure this looks like; whoever decides reads all of it."""
    if tbs.startswith(PROOF_LABEL):
        return PROOF
    if tbs[:1] == bytes([SET]):
        return ATTRIBUTES
    if tbs[:1] != bytes([SEQUENCE]):
        return OTHER
    try:
        tags = [part.tag for part in islice(children(tbs), _ENOUGH)]
    except MalformedRequest:
        return OTHER
    return _by_tags(tags)


def _by_tags(tags: list[int]) -> str:
    match tags:
        case [_first, _second, _third, last] if last in _TIMES:
            return CRL
        case [tag, second, *_] if tag == _TAGGED and second == INTEGER:
            return CERTIFICATE
        case [tag, *_] if tag == INTEGER and tags[1:] == [SEQUENCE, SEQUENCE, _TAGGED]:
            return CSR
        case [tag, second, *_] if tag & _TAGGED == _TAGGED and second in _TIMES:
            return STATUS
    return OTHER


def sha256(octets: bytes) -> bytes:
    """Return the hash by which octets and keys are called."""
    return hashlib.sha256(octets).digest()
