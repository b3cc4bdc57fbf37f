"""TSTInfo (RFC 3161 section 2.4.2) together with the signed attributes that stand for it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from hsm_agent.structures import der
from hsm_agent.structures.algorithms import DIGEST_OCTETS, hash_name
from hsm_agent.structures.certificate import read_serial
from hsm_agent.structures.der import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    Malformed,
    encoded,
)
from hsm_agent.structures.kinds import TST
from hsm_agent.structures.loading import explicit
from hsm_agent.structures.signed_attributes import DIGESTS, SignedAttributes

LIMIT_OCTETS = 65_536
TST_INFO = "1.2.840.113549.1.9.16.1.4"

_VERSION_1 = b"\x02\x01\x01"
_TSA = 0xA0
_EXTENSIONS = 0xA1
_DIRECTORY_NAME = 0xA4
_OPTIONAL = (SEQUENCE, BOOLEAN, INTEGER, _TSA, _EXTENSIONS)
"""accuracy, ordering, nonce, tsa and extensions, in this order."""


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """A time-stamp that is to be; ``policy`` is a dotted OID, ``hash`` that of the imprint.

    ``tsa`` is the authority's Name in DER where it is told as a directoryName, else empty.
    """

    attributes: SignedAttributes
    policy: str
    hash: str
    imprint: bytes
    serial: int
    gen_time: datetime
    tsa: bytes
    kind: str = TST


def read_time_stamp(attributes: SignedAttributes, content: bytes) -> TimeStamp:
    """Read a TSTInfo of version 1 and see that the attributes stand for it.

    Raises:
        Malformed: it is not DER, names another content type, has a critical extension, or its
            hash is not the messageDigest.
    """
    if len(content) > LIMIT_OCTETS:
        raise Malformed(f"a TSTInfo of more than {LIMIT_OCTETS} octets")
    if attributes.content_type != TST_INFO:
        raise Malformed("a content whose signed attributes name another type than TSTInfo")
    hashed = DIGESTS[len(attributes.message_digest)]
    if hashlib.new(hashed, content).digest() != attributes.message_digest:
        raise Malformed("a TSTInfo that the messageDigest is not the hash of")
    outer = der.whole(content, "TSTInfo")
    der.check(content, outer)
    tags = (INTEGER, OID, SEQUENCE, INTEGER, GENERALIZED_TIME)
    parts = der.fields(content, outer, "a TSTInfo", *tags)
    if encoded(content, parts[0]) != _VERSION_1:
        raise Malformed("not a TSTInfo of version 1")
    optional = _optional(content, parts[5:])
    imprint_hash, imprint = _imprint(content, parts[2])
    return TimeStamp(
        attributes=attributes,
        policy=der.object_identifier(content, parts[1], "a policy"),
        hash=imprint_hash,
        imprint=imprint,
        serial=read_serial(content, parts[3]),
        gen_time=der.generalized_time(content, parts[4], "genTime", fraction=True),
        tsa=_tsa(content, optional.get(_TSA)),
    )


def _imprint(content: bytes, found: Element) -> tuple[str, bytes]:
    parts = der.fields(content, found, "a messageImprint", SEQUENCE, OCTET_STRING)
    hashed = hash_name(encoded(content, parts[0]))
    imprint = content[parts[1].start : parts[1].end]
    if len(parts) != 2 or len(imprint) != DIGEST_OCTETS.get(hashed, len(imprint)):  # noqa: PLR2004 - hash and value
        raise Malformed("a messageImprint whose length is not that of its hash")
    return hashed, imprint


def _optional(content: bytes, found: list[Element]) -> dict[int, Element]:
    tags = [one.tag for one in found]
    places = [_OPTIONAL.index(tag) for tag in tags if tag in _OPTIONAL]
    if len(places) != len(tags) or places != sorted({*places}):
        raise Malformed("not a TSTInfo: other fields than those of its type")
    by_tag = dict(zip(tags, found, strict=True))
    if BOOLEAN in by_tag and content[by_tag[BOOLEAN].start : by_tag[BOOLEAN].end] != b"\xff":
        raise Malformed("not DER: a default that is written")
    if _EXTENSIONS in by_tag:
        _check_extensions(content, by_tag[_EXTENSIONS])
    return by_tag


def _check_extensions(content: bytes, outer: Element) -> None:
    for extension in der.children(content, outer):
        parts = der.fields(content, extension, "an extension", OID)
        if [part.tag for part in parts[1:]] != [OCTET_STRING]:
            raise Malformed("a TSTInfo with a critical or broken extension")


def _tsa(content: bytes, found: Element | None) -> bytes:
    """Return the Name inside GeneralName's directoryName; both tags are EXPLICIT."""
    if found is None:
        return b""
    name = explicit(content, found, _DIRECTORY_NAME)
    return encoded(content, explicit(content, name))
