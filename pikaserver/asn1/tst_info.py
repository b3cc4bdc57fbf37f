"""TSTInfo (RFC 3161 section 2.4.2): what a time-stamp says, written and read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    BOOLEAN,
    CONSTRUCTED,
    CONTEXT,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    children,
    dotted,
    expect,
    members,
)
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.time_stamps import LIMIT_OCTETS, flag, number, optional

TST_INFO = "1.2.840.113549.1.9.16.1.4"
_MILLIS, _MICROS = CONTEXT, CONTEXT | 1
_TSA, _EXTENSIONS = CONTEXT | CONSTRUCTED, CONTEXT | CONSTRUCTED | 1
_DIRECTORY_NAME = CONTEXT | CONSTRUCTED | 4
_THOUSAND = 1000
_MOMENT = re.compile(rb"(\d{14})(?:\.(\d{1,20}))?Z")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far the time may be off; milliseconds and microseconds are below 1000."""

    seconds: int = 0
    millis: int = 0
    micros: int = 0


@dataclass(frozen=True, slots=True)
class TstInfo:
    """What a time-stamp says; ``imprint`` is MessageImprint in DER."""

    policy: str
    imprint: bytes
    serial: int
    at: datetime
    accuracy: Accuracy | None = None
    ordering: bool = False
    nonce: int | None = None
    authority: bytes | None = None
    """The time-stamping authority's name, a Name in DER."""


def tst_info(info: TstInfo) -> bytes:
    """Return TSTInfo in DER."""
    return der.sequence(
        der.integer(1),
        der.oid(info.policy),
        info.imprint,
        der.integer(info.serial),
        _time(info.at),
        _accuracy(info.accuracy) if info.accuracy else b"",
        der.boolean(value=True) if info.ordering else b"",
        der.integer(info.nonce) if info.nonce is not None else b"",
        der.context(0, der.context(4, info.authority)) if info.authority else b"",
    )


def read_tst_info(octets: bytes) -> TstInfo:
    """Read TSTInfo.

    Raises:
        MalformedRequest: it is none, or has an extension that is critical: none is known.
    """
    with refusing("TSTInfo"):
        der.check(octets, limit_octets=LIMIT_OCTETS)
        return _read(octets)


def _read(octets: bytes) -> TstInfo:
    version, policy, stamped, serial, at, *rest = members(octets, "a TSTInfo")
    if expect(octets, version, INTEGER, "a version") != b"\x01":
        raise MalformedRequest("a TSTInfo of another version than 1")
    expect(octets, stamped, SEQUENCE, "a message imprint")
    expect(octets, serial, INTEGER, "a serial number")
    accuracy = optional(rest, SEQUENCE)
    ordering = optional(rest, BOOLEAN)
    nonce = optional(rest, INTEGER)
    name = optional(rest, _TSA)
    extensions = optional(rest, _EXTENSIONS)
    if rest:
        raise MalformedRequest("fields that do not belong")
    if extensions is not None:
        _refuse_critical(octets, extensions)
    return TstInfo(
        policy=dotted(expect(octets, policy, OID, "a policy")),
        imprint=octets[stamped.at : stamped.end],
        serial=number(octets, serial),
        at=_read_time(expect(octets, at, GENERALIZED_TIME, "a time")),
        accuracy=_read_accuracy(octets, accuracy) if accuracy else None,
        ordering=flag(octets, ordering),
        nonce=number(octets, nonce) if nonce else None,
        authority=_name(octets, name) if name else None,
    )


def _refuse_critical(octets: bytes, extensions: Element) -> None:
    for one in children(octets, extensions.at):
        oid, *rest = members(octets, "an extension", one.at)
        kind = dotted(expect(octets, oid, OID, "an extension's type"))
        critical = flag(octets, optional(rest, BOOLEAN))
        if [part.tag for part in rest] != [OCTET_STRING]:
            raise MalformedRequest("an extension without a value")
        if critical:
            raise MalformedRequest(f"the critical extension {kind} is not known")


def _time(moment: datetime) -> bytes:
    """Return GeneralizedTime with as much of a fraction as there is (section 2.4.2)."""
    moment = moment.astimezone(UTC)
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return der.element(GENERALIZED_TIME, f"{moment:%Y%m%d%H%M%S}{fraction}Z".encode())


def _read_time(text: bytes) -> datetime:
    """Read it to the microsecond; others write zeros at the end, and finer fractions."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise MalformedRequest("a time that is not in UTC with seconds")
    try:
        whole = datetime.strptime(found[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedRequest("a time that does not exist") from None
    return whole.replace(microsecond=int((found[2] or b"0")[:6].ljust(6, b"0")))


def _accuracy(accuracy: Accuracy) -> bytes:
    return der.sequence(
        der.integer(accuracy.seconds) if accuracy.seconds else b"",
        der.integer(accuracy.millis, _MILLIS) if accuracy.millis else b"",
        der.integer(accuracy.micros, _MICROS) if accuracy.micros else b"",
    )


def _read_accuracy(octets: bytes, field: Element) -> Accuracy:
    rest = members(octets, "an accuracy", field.at)
    found = [optional(rest, tag) for tag in (INTEGER, _MILLIS, _MICROS)]
    seconds, millis, micros = (number(octets, part) if part else 0 for part in found)
    if rest or seconds < 0 or not 0 <= millis < _THOUSAND or not 0 <= micros < _THOUSAND:
        raise MalformedRequest("an accuracy that is none")
    return Accuracy(seconds, millis, micros)


def _name(octets: bytes, field: Element) -> bytes | None:
    """Return the authority's name where it is a Name, as it should be."""
    (general,) = children(octets, field.at)
    if general.tag != _DIRECTORY_NAME:
        return None
    (name,) = children(octets, general.at)
    return octets[name.at : name.end]
