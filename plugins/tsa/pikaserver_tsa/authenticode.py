"""The legacy time-stamps of Authenticode: base64 of a PKCS#7 over what is stamped."""

import base64
import binascii
import re

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.digests import digest
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    OCTET_STRING,
    SET,
    children,
    expect,
    members,
)
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.signed_data import (
    DATA,
    SIGNING_TIME,
    Signed,
    attribute,
    digest_of,
    signed_attributes,
    signed_data,
)
from pikaserver_tsa.stamping import Stamper, TimeStampUnit, path

LIMIT_OCTETS = 16 * 1024
_REQUEST = der.oid("1.3.6.1.4.1.311.3.2.1")
_DATA = der.oid(DATA)
# A SEQUENCE of any length whose first field is the OID of such requests.
_BEGINNING = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)" + re.escape(_REQUEST), re.DOTALL)
_LOOKED_AT = 24


def is_request(body: bytes) -> bool:
    """Tell whether a body looks like one: base64 of a SEQUENCE that begins with its OID."""
    beginning = b"".join(body[: 3 * _LOOKED_AT].split())[:_LOOKED_AT]
    try:
        return _BEGINNING.match(base64.b64decode(beginning, validate=True)) is not None
    except binascii.Error:
        return False


def read_request(body: bytes) -> bytes:
    """Return the octets that shall be stamped, a signature usually.

    Raises:
        MalformedRequest: it is no TimeStampRequest of Authenticode.
    """
    try:
        octets = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise MalformedRequest("not base64") from None
    with refusing("time-stamp request of Authenticode"):
        der.check(octets, limit_octets=LIMIT_OCTETS)
        return _content(octets)


def _content(octets: bytes) -> bytes:
    kind, *attributes, info = members(octets, "a time-stamp request of Authenticode")
    # Between the OID and the content there may be attributes.
    if octets[kind.at : kind.end] != _REQUEST or [one.tag for one in attributes] not in ([], [SET]):
        raise MalformedRequest("not a time-stamp request of Authenticode")
    kind, explicit = members(octets, "a ContentInfo", info.at)
    expect(octets, explicit, CONTEXT | CONSTRUCTED, "the content")
    if octets[kind.at : kind.end] != _DATA:
        raise MalformedRequest("the content is not of type data")
    (content,) = children(octets, explicit.at)
    return expect(octets, content, OCTET_STRING, "the content's octets")


def answer(body: bytes, unit: TimeStampUnit, stamper: Stamper) -> bytes:
    """Return the time-stamp in base64.

    Raises:
        MalformedRequest: the request cannot be read.
        ClockInDoubt: nobody can say what time it is.
        PikaserverError: the key cannot sign now.
    """
    content = read_request(body)
    key = stamper.services.get(unit.use)
    moment = attribute(SIGNING_TIME, der.time(stamper.moment(key)))
    attributes = signed_attributes(DATA, digest(digest_of(key.algorithm), content), moment)
    # A keeper who wants to see what attributes stand for knows TSTInfo alone.
    signature = key.sign(attributes)
    signed = Signed(key.certificate, key.algorithm, attributes, signature)
    return base64.encodebytes(signed_data(DATA, content, signed, path(key)))
