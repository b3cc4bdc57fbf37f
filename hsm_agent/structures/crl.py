"""TBSCertList (RFC 5280 section 5.1), version 2; its entries are read as a stream."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from hsm_agent.structures import der, writing
from hsm_agent.structures.algorithms import algorithm_name
from hsm_agent.structures.der import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    SEQUENCE,
    UTC_TIME,
    Element,
    Malformed,
    encoded,
)
from hsm_agent.structures.kinds import CRL
from hsm_agent.structures.loading import (
    Extensions,
    by_oid,
    check_bounds,
    explicit,
    extension_values,
    loading,
)

LIMIT_OCTETS = 1 << 24
SERIAL_OCTETS = 20

_VERSION_2 = b"\x02\x01\x01"
_EXTENSIONS = 0xA0
_TIMES = (UTC_TIME, GENERALIZED_TIME)
_LONG = 0x80
_CRL_NUMBER = "2.5.29.20"
_DELTA = "2.5.29.27"
_DISTRIBUTION_POINT = "2.5.29.28"
# An entry's extension as DER has it: reasonCode certificateHold, the OID of certificateIssuer.
_ON_HOLD = bytes.fromhex("300a0603551d1504030a0106")
_REMOVED = bytes.fromhex("300a0603551d1504030a0108")
_CERTIFICATE_ISSUER = bytes.fromhex("0603551d1d")
_TRUE = bytes((BOOLEAN, 1, 0xFF))
_SUSPICIOUS = (_TRUE, _CERTIFICATE_ISSUER)


@dataclass(frozen=True, slots=True)
class TbsCertList:
    """A CRL that is to be.

    ``number`` and ``base`` are those of CRLNumber and deltaCRLIndicator; ``distribution_point``
    is the IssuingDistributionPoint in DER, empty where the CRL covers everything.
    """

    tbs: bytes
    algorithm: str
    issuer: bytes
    this_update: datetime
    next_update: datetime | None
    number: int | None
    base: int | None
    distribution_point: bytes
    extensions: Extensions
    revoked: int
    entries: Element
    kind: str = CRL

    @property
    def scope(self) -> str:
        """Name what the CRL covers: ``complete`` or ``delta``, and of which partition."""
        whole = "complete" if self.base is None else "delta"
        if not self.distribution_point:
            return whole
        return f"{whole}:{hashlib.sha256(self.distribution_point).hexdigest()[:32]}"

    @property
    def removes(self) -> bool:
        """Whether an entry takes a serial off, as delta CRLs can (``removeFromCRL``)."""
        return _REMOVED in self.tbs

    def serials(self) -> Iterator[bytes]:
        """Yield the content octets of each revoked serial number."""
        for serial, _, _ in _entries(self.tbs, self.entries):
            yield serial

    def lasting(self) -> Iterator[bytes]:
        """Yield the serials that later CRLs must name too: all but certificates on hold."""
        holds = _ON_HOLD in self.tbs
        for serial, start, end in _entries(self.tbs, self.entries):
            if not (holds and _ON_HOLD in self.tbs[start:end]):
                yield serial


def read_tbs_cert_list(tbs: bytes) -> TbsCertList:
    """Read a TBSCertList.

    Raises:
        Malformed: it is too large, not canonical DER, of version 1, an entry is one of another
            issuer's or has a critical extension, or a serial is not one of RFC 5280.
    """
    if len(tbs) > LIMIT_OCTETS:
        raise Malformed(f"a TBSCertList of more than {LIMIT_OCTETS} octets")
    outer = der.whole(tbs, "TBSCertList")
    head = der.fields(tbs, outer, "a TBSCertList", INTEGER, SEQUENCE, SEQUENCE)
    if encoded(tbs, head[0]) != _VERSION_2:
        raise Malformed("not a TBSCertList of version 2")
    this_update, next_update, entries, listed = _tail(tbs, head[3:])
    extensions, octets_of = _load(tbs, encoded(tbs, head[1]), listed)
    return TbsCertList(
        tbs=tbs,
        algorithm=algorithm_name(tbs, head[1].at, head[1].end),
        issuer=encoded(tbs, head[2]),
        this_update=this_update,
        next_update=next_update,
        number=_number(extensions, _CRL_NUMBER),
        base=_number(extensions, _DELTA),
        distribution_point=octets_of.get(_DISTRIBUTION_POINT, b""),
        extensions=extensions,
        revoked=_check_entries(tbs, entries),
        entries=entries,
    )


def _tail(
    tbs: bytes, rest: list[Element]
) -> tuple[datetime, datetime | None, Element, Element | None]:
    """Return both times, the entries and the list of extensions; what is left out is empty."""
    tags = [one.tag for one in rest]
    times = [one for one in rest[:2] if one.tag in _TIMES]
    after = len(times)
    listed = rest[-1] if tags[-1:] == [_EXTENSIONS] else None
    middle = rest[after : len(rest) - (listed is not None)]
    if not times or [one.tag for one in middle] not in ([], [SEQUENCE]):
        raise Malformed("not a TBSCertList: other fields than those of its type")
    entries = middle[0] if middle else Element(SEQUENCE, len(tbs), len(tbs), len(tbs))
    if middle and entries.start == entries.end:
        raise Malformed("a list of revoked certificates that is empty is left out")
    this_update, *later = (der.time(tbs, one, "an update's time") for one in times)
    return this_update, later[0] if later else None, entries, listed


def _load(
    tbs: bytes, identifier: bytes, listed: Element | None
) -> tuple[Extensions, dict[str, bytes]]:
    if listed is not None:
        check_bounds(encoded(tbs, listed))
    with loading("the TBSCertList"):
        loaded = x509.load_der_x509_crl(writing.signed(tbs, identifier))
        if loaded.tbs_certlist_bytes != tbs:
            raise Malformed("the TBSCertList is not in its one encoding")
        extensions = by_oid(loaded.extensions)
    if listed is None:
        return extensions, {}
    wanted = (_DISTRIBUTION_POINT,)
    return extensions, extension_values(tbs, explicit(tbs, listed), extensions, wanted)


def _number(extensions: Extensions, oid: str) -> int | None:
    found = extensions.get(oid)
    if found and isinstance(found.value, x509.CRLNumber | x509.DeltaCRLIndicator):
        return found.value.crl_number
    return None


def _check_entries(tbs: bytes, entries: Element) -> int:
    """Count the entries; cryptography has found that each is one, in DER."""
    count = 0
    # What rarely stands there is looked for in all of them at once, and only then in each.
    suspicious = any(tbs.find(mark, entries.start, entries.end) >= 0 for mark in _SUSPICIOUS)
    for serial, start, end in _entries(tbs, entries):
        if not 0 < len(serial) <= SERIAL_OCTETS or serial[0] >= _LONG or serial == b"\0":
            raise Malformed("a revoked serial number that is not positive or over 20 octets")
        after = start + 2 + len(serial)
        if suspicious and any(tbs.find(mark, after, end) >= 0 for mark in _SUSPICIOUS):
            _check_entry(tbs, start, end)
        count += 1
    return count


def _check_entry(tbs: bytes, start: int, end: int) -> None:
    parts = der.children(tbs, Element(SEQUENCE, start, start, end))
    for extension in (one for listed in parts[2:] for one in der.children(tbs, listed)):
        octets = encoded(tbs, extension)
        if _TRUE in octets[:20] and der.children(tbs, extension)[1].tag == BOOLEAN:
            raise Malformed("an entry with a critical extension")
        if octets[2:7] == _CERTIFICATE_ISSUER:
            raise Malformed("an entry of another issuer")


def _entries(tbs: bytes, entries: Element) -> Iterator[tuple[bytes, int, int]]:
    """Yield serial, begin and end of each entry; of 300,000 in a fifth of a second."""
    at, stop = entries.start, entries.end
    while at < stop:
        size, start = tbs[at + 1], at + 2
        if size >= _LONG:
            start += size & 0x7F
            size = int.from_bytes(tbs[at + 2 : start], "big")
        at = start + size
        # A longer serial, whose length would not be a single octet, is refused by its length.
        yield tbs[start + 2 : start + 2 + tbs[start + 1]], start, at
