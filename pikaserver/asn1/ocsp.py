"""OCSP (RFC 6960): what requests and answers are made of."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import NamedTuple

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    children,
    dotted,
    expect,
    read_element,
)
from pikaserver.asn1.identifiers import HASH_OIDS, identifier, key_bits

LIMIT_OCTETS = 1024 * 1024
_RESPONDER_IDS = (0xA1, 0xA2)
_TIME = re.compile(rb"[0-9]{14}Z")

BASIC = "1.3.6.1.5.5.7.48.1.1"
NONCE = "1.3.6.1.5.5.7.48.1.2"
ACCEPTABLE_RESPONSES = "1.3.6.1.5.5.7.48.1.4"
ARCHIVE_CUTOFF = "1.3.6.1.5.5.7.48.1.6"
SERVICE_LOCATOR = "1.3.6.1.5.5.7.48.1.7"
PREFERRED_SIGNATURE_ALGORITHMS = "1.3.6.1.5.5.7.48.1.8"
EXTENDED_REVOKE = "1.3.6.1.5.5.7.48.1.9"
INVALIDITY_DATE = "2.5.29.24"

SHA_1 = "1.3.14.3.2.26"
HASHES = (("sha1", SHA_1), *HASH_OIDS.items())
"""The hashes of CertIDs that we know, with their OIDs."""

FORMS = tuple(
    (name, identifier(oid, *parameters))
    for name, oid in HASHES
    for parameters in ((der.null(),), ())
)
"""How one issuer may be named: each hash, its parameters NULL or absent; both are met."""


class ResponseStatus(Enum):
    """OCSPResponseStatus (RFC 6960 section 4.2.1); the value is the number on the wire."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    SIG_REQUIRED = 5
    UNAUTHORIZED = 6

    @property
    def rfc_name(self) -> str:
        """The identifier in the RFC's ASN.1: ``malformedRequest``."""
        first, *rest = self.name.lower().split("_")
        return first + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True, slots=True)
class CertId:
    """A certificate, named by hashes of its issuer's name and key and by its serial number.

    ``der`` is the whole CertID, ``issuer`` its octets before the serial number.
    """

    der: bytes
    issuer: bytes
    serial: int


class Extension(NamedTuple):
    """One extension; ``value`` is what its OCTET STRING holds."""

    oid: str
    critical: bool
    value: bytes


def issuer_octets(form: int, subject: bytes, spki: bytes) -> bytes:
    """Return by which octets a CertID names an issuer, in one of the `FORMS`.

    Args:
        form: index in `FORMS`.
        subject: the issuer's Name in DER.
        spki: the issuer's SubjectPublicKeyInfo; the octets of its key are hashed.
    """
    name, algorithm = FORMS[form]

    def digest(octets: bytes) -> bytes:
        return der.octet_string(hashlib.new(name, octets, usedforsecurity=False).digest())

    return algorithm + digest(subject) + digest(key_bits(spki))


def make_cert_id(issuer: bytes, serial: int) -> CertId:
    """Return the CertID of a serial number under an issuer; see `issuer_octets`."""
    return CertId(der.sequence(issuer, der.integer(serial)), issuer, serial)


def read_cert_id(octets: bytes, found: Element) -> CertId:
    """Read the CertID that stands there; its hash may be any.

    Raises:
        MalformedRequest: it is none.
    """
    parts = list(children(octets, found.at))
    tags = [part.tag for part in parts]
    if found.tag != SEQUENCE or tags != [SEQUENCE, OCTET_STRING, OCTET_STRING, INTEGER]:
        raise MalformedRequest(f"expected a CertID at octet {found.at}")
    check_algorithm(octets, parts[0])
    serial = parts[3]
    return CertId(
        octets[found.at : found.end],
        octets[parts[0].at : parts[2].end],
        int.from_bytes(octets[serial.start : serial.end], "big", signed=True),
    )


def check_algorithm(octets: bytes, found: Element) -> bytes:
    """Return the AlgorithmIdentifier that stands there.

    Raises:
        MalformedRequest: it is none.
    """
    parts = list(children(octets, found.at)) if found.tag == SEQUENCE else []
    if [part.tag for part in parts[:1]] != [OID] or parts[2:]:
        raise MalformedRequest(f"expected an AlgorithmIdentifier at octet {found.at}")
    return octets[found.at : found.end]


def explicit(octets: bytes, outer: Element, tag: int, what: str) -> Element:
    """Return the one element inside an explicit tag.

    Raises:
        MalformedRequest: there is another one, or more than it.
    """
    inner = read_element(octets, outer.start, outer.end)
    expect(octets, inner, tag, what)
    if inner.end != outer.end:
        raise MalformedRequest(f"expected nothing after {what} at octet {inner.end}")
    return inner


def read_extensions(octets: bytes, outer: Element) -> list[Extension]:
    """Read the Extensions (RFC 5280 section 4.1) inside an explicit tag.

    Raises:
        MalformedRequest: they are none, empty, or name an extension twice.
    """
    listed = explicit(octets, outer, SEQUENCE, "extensions")
    found = list(_extensions(octets, listed))
    if not found or len({extension.oid for extension in found}) != len(found):
        raise MalformedRequest(f"no extensions, or one of them twice, at octet {listed.at}")
    return found


def _extensions(octets: bytes, listed: Element) -> Iterator[Extension]:
    for one in children(octets, listed.at):
        parts = list(children(octets, one.at)) if one.tag == SEQUENCE else []
        tags = [part.tag for part in parts]
        if tags not in ([OID, OCTET_STRING], [OID, BOOLEAN, OCTET_STRING]):
            raise MalformedRequest(f"expected an extension at octet {one.at}")
        # X.690 section 11.5: FALSE is the default, and a default is left out.
        if tags[1] == BOOLEAN and octets[parts[1].start] == 0:
            raise MalformedRequest(f"not DER: a default that is spelt out at octet {one.at}")
        yield Extension(
            dotted(octets[parts[0].start : parts[0].end]),
            tags[1] == BOOLEAN,
            octets[parts[-1].start : parts[-1].end],
        )


def write_extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    """Return one Extension."""
    flag = der.boolean(value=True) if critical else b""
    return der.sequence(_oid(oid), flag, der.octet_string(value))


# There are a handful of them, and each answer has some.
_oid = cache(der.oid)


def write_nonce(nonce: bytes) -> bytes:
    """Return the nonce extension (RFC 9654 section 2.1)."""
    return write_extension(NONCE, der.octet_string(nonce))


def extensions_element(number: int, extensions: Sequence[bytes]) -> bytes:
    """Return encoded extensions in an explicit tag; nothing where there are none."""
    return der.context(number, der.sequence(*extensions)) if extensions else b""


def read_time(octets: bytes, found: Element, what: str) -> datetime:
    """Read a GeneralizedTime as RFC 5280 section 4.1.2.5.2 has it: UTC, seconds, no fraction.

    Raises:
        MalformedRequest: it is none.
    """
    text = expect(octets, found, GENERALIZED_TIME, what)
    if _TIME.fullmatch(text):
        try:
            return datetime.strptime(text.decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            pass  # a thirteenth month
    raise MalformedRequest(f"{what} at octet {found.at} is no time in UTC")


def is_response_data(octets: bytes) -> bool:
    """Tell whether octets are a ResponseData (RFC 6960 section 4.2.1) and so nothing else.

    It begins with a responder's name or key hash in a context tag, and its time; a
    TBSCertificate, a TBSCertList and a CertificationRequestInfo begin otherwise.
    """
    try:
        der.check(octets, limit_octets=LIMIT_OCTETS)
        fields = list(children(octets))
        tags = [field.tag for field in fields]
        answers = [one.tag for one in children(octets, fields[2].at)]
    except (MalformedRequest, IndexError):
        return False
    return (
        octets[0] == SEQUENCE
        and tags[0] in _RESPONDER_IDS
        and tags[1:3] == [GENERALIZED_TIME, SEQUENCE]
        and tags[3:] in ([], [0xA1])
        and set(answers) == {SEQUENCE}
    )
