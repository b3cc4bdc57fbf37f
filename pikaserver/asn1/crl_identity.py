"""Which CRL a CRL is, read without its entries, however many there are (RFC 5280 section 5.1)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import mmap

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import (
    BOOLEAN,
    CONSTRUCTED,
    CONTEXT,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    UTC_TIME,
    Element,
    dotted,
    read_element,
)

Octets = bytes | mmap

_AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
_CRL_NUMBER = "2.5.29.20"
_DELTA_CRL_INDICATOR = "2.5.29.27"
_ISSUING_DISTRIBUTION_POINT = "2.5.29.28"
_TIME_FORMS = {UTC_TIME: "%y%m%d%H%M%SZ", GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}


@dataclass(frozen=True, slots=True)
class CrlIdentity:
    """What tells CRLs apart: whose, of which key, of which part, and how new.

    ``issuer`` is a Name, ``authority_key`` and ``distribution_point`` are values of
    extensions, in DER; nothing of it is verified.
    """

    issuer: bytes
    authority_key: bytes | None
    distribution_point: bytes | None
    is_delta: bool
    number: int
    this_update: datetime

    def is_line_of(self, other: "CrlIdentity") -> bool:
        """Tell whether one of the two takes the other one's place."""
        return (
            self.issuer == other.issuer
            and self.authority_key == other.authority_key
            and self.distribution_point == other.distribution_point
            and self.is_delta == other.is_delta
        )

    def is_older_than(self, other: "CrlIdentity") -> bool:
        """Tell whether the other one, of the same line, is newer."""
        return (self.number, self.this_update) < (other.number, other.this_update)


def read_identity(octets: Octets) -> CrlIdentity:
    """Read a CRL's head and its extensions; octets may be a file in memory's place.

    Raises:
        MalformedRequest: it is no CRL, or cut off.
    """
    outer = _expected(octets, read_element(octets, 0), SEQUENCE, "a CRL")
    tbs = _expected(octets, read_element(octets, outer.start, outer.end), SEQUENCE, "its head")
    parts = _walk(octets, tbs)
    position = 1 if parts and parts[0].tag == INTEGER else 0
    if len(parts) < position + 3 or outer.end != len(octets):
        raise MalformedRequest("expected a CRL")
    issuer, this_update = parts[position + 1], parts[position + 2]
    found = _extensions(octets, parts[-1]) if parts[-1].tag == CONTEXT | CONSTRUCTED else {}
    number = found.get(_CRL_NUMBER)
    return CrlIdentity(
        issuer=octets[issuer.at : issuer.end],
        authority_key=found.get(_AUTHORITY_KEY_IDENTIFIER),
        distribution_point=found.get(_ISSUING_DISTRIBUTION_POINT),
        is_delta=_DELTA_CRL_INDICATOR in found,
        number=0 if number is None else _integer(number),
        this_update=_time(octets, this_update),
    )


def _expected(octets: Octets, found: Element, tag: int, what: str) -> Element:
    if found.tag != tag or found.end > len(octets):
        raise MalformedRequest(f"expected {what} at octet {found.at}")
    return found


def _walk(octets: Octets, container: Element) -> list[Element]:
    found: list[Element] = []
    position = container.start
    while position < container.end:
        found.append(read_element(octets, position, container.end))
        position = found[-1].end
    return found


def _extensions(octets: Octets, tagged: Element) -> dict[str, bytes]:
    """Return the values of the extensions by their OIDs."""
    sequence = _expected(
        octets, read_element(octets, tagged.start, tagged.end), SEQUENCE, "extensions"
    )
    found: dict[str, bytes] = {}
    for extension in _walk(octets, sequence):
        parts = [part for part in _walk(octets, extension) if part.tag != BOOLEAN]
        if [part.tag for part in parts] != [OID, OCTET_STRING]:
            raise MalformedRequest(f"expected an extension at octet {extension.at}")
        name, value = (octets[part.start : part.end] for part in parts)
        found[dotted(name)] = value
    return found


def _integer(der: bytes) -> int:
    found = _expected(der, read_element(der, 0), INTEGER, "a number")
    return int.from_bytes(der[found.start : found.end], "big", signed=True)


def _time(octets: Octets, found: Element) -> datetime:
    form = _TIME_FORMS.get(found.tag)
    if form is None:
        raise MalformedRequest(f"expected a time at octet {found.at}")
    text = octets[found.start : found.end]
    try:
        moment = datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedRequest(f"expected a time at octet {found.at}") from None
    # strptime's two-digit years turn in 1969, those of RFC 5280 section 5.1.2.4 in 1950.
    is_past = found.tag == UTC_TIME and moment.year >= 2050  # noqa: PLR2004 - see above
    return moment.replace(year=moment.year - 100) if is_past else moment
