"""Requests for time-stamps (RFC 3161 section 2.4.1), read and written, and why one is refused."""

from dataclasses import dataclass
from enum import IntEnum

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.digests import DIGEST_NAMES, DIGEST_OCTETS, DIGEST_OIDS
from pikaserver.asn1.elements import (
    BOOLEAN,
    CONSTRUCTED,
    CONTEXT,
    INTEGER,
    NULL,
    OCTET_STRING,
    OID,
    Element,
    dotted,
    expect,
    members,
)
from pikaserver.asn1.refusing import refusing

LIMIT_OCTETS = 64 * 1024
_EXTENSIONS = CONTEXT | CONSTRUCTED


class Failure(IntEnum):
    """PKIFailureInfo (RFC 3161 section 2.4.2): the number of the bit."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    ADD_INFO_NOT_AVAILABLE = 17
    SYSTEM_FAILURE = 25


class Refusal(MalformedRequest):
    """A request that gets no time-stamp, and the bit that says why."""

    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(why)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class TimeStampRequest:
    """TimeStampReq; ``imprint`` is MessageImprint in DER, ``hash`` its algorithm by our name."""

    imprint: bytes
    hash: str
    digest: bytes
    policy: str | None
    nonce: int | None
    certificate_wanted: bool


def read_request(octets: bytes) -> TimeStampRequest:
    """Read a TimeStampReq in strict DER.

    Raises:
        Refusal: it is none, of another version, has an extension, or an unknown hash.
    """
    try:
        der.check(octets, limit_octets=LIMIT_OCTETS)
        return _request(octets)
    except Refusal:
        raise
    except (MalformedRequest, ValueError) as error:
        raise Refusal(Failure.BAD_DATA_FORMAT, f"not a TimeStampReq: {error}") from None


def _request(octets: bytes) -> TimeStampRequest:
    version, stamped, *rest = members(octets, "a TimeStampReq")
    if expect(octets, version, INTEGER, "a version") != b"\x01":
        raise Refusal(Failure.BAD_REQUEST, "a request of another version than 1")
    imprint = octets[stamped.at : stamped.end]
    name, digest = read_imprint(imprint)
    policy = optional(rest, OID)
    nonce = optional(rest, INTEGER)
    wanted = optional(rest, BOOLEAN)
    extensions = optional(rest, _EXTENSIONS)
    if rest:
        raise MalformedRequest("fields that do not belong")
    if extensions is not None:
        # Section 2.4.1: critical or not, an unknown one is refused.
        raise Refusal(Failure.UNACCEPTED_EXTENSION, "no extension is known here")
    return TimeStampRequest(
        imprint=imprint,
        hash=name,
        digest=digest,
        policy=dotted(octets[policy.start : policy.end]) if policy else None,
        nonce=number(octets, nonce) if nonce else None,
        certificate_wanted=flag(octets, wanted),
    )


def write_request(
    hash_name: str, digest: bytes, *, policy: str | None, nonce: int, certificate_wanted: bool
) -> bytes:
    """Return a TimeStampReq."""
    return der.sequence(
        der.integer(1),
        write_imprint(hash_name, digest),
        der.oid(policy) if policy else b"",
        der.integer(nonce),
        der.boolean(value=True) if certificate_wanted else b"",
    )


def write_imprint(hash_name: str, digest: bytes) -> bytes:
    """Return a MessageImprint; the hash has no parameters (RFC 5754 section 2)."""
    return der.sequence(der.sequence(der.oid(DIGEST_OIDS[hash_name])), der.octet_string(digest))


def read_imprint(octets: bytes) -> tuple[str, bytes]:
    """Return the hash of a MessageImprint, by our name, and the digest.

    Raises:
        MalformedRequest: it is none, or the digest is not as long as the hash makes it.
        Refusal: the hash is not one of those that we know.
    """
    with refusing("message imprint"):
        return _imprint(octets)


def _imprint(octets: bytes) -> tuple[str, bytes]:
    algorithm, hashed = members(octets, "a message imprint")
    oid, *parameters = members(octets, "a hash algorithm", algorithm.at)
    kind = dotted(expect(octets, oid, OID, "a hash algorithm"))
    if [one.tag for one in parameters] not in ([], [NULL]):
        raise MalformedRequest("a hash algorithm with parameters")
    if kind not in DIGEST_NAMES:
        raise Refusal(Failure.BAD_ALG, f"the hash {kind} is not accepted")
    name = DIGEST_NAMES[kind]
    digest = expect(octets, hashed, OCTET_STRING, "a digest")
    if len(digest) != DIGEST_OCTETS[name]:
        raise MalformedRequest(f"a {name} digest of {len(digest)} octets")
    return name, digest


def optional(rest: list[Element], tag: int) -> Element | None:
    """Take the next field when it has this tag."""
    return rest.pop(0) if rest and rest[0].tag == tag else None


def number(octets: bytes, field: Element) -> int:
    """Return the value of an INTEGER."""
    return int.from_bytes(octets[field.start : field.end], "big", signed=True)


def flag(octets: bytes, field: Element | None) -> bool:
    """Return the value of a BOOLEAN that is false where it is left out."""
    return field is not None and octets[field.start] != 0
