"""What cryptography cannot load is malformed, whatever it raises; so are names it warns of."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from hsm_agent.structures import writing
from hsm_agent.structures.der import (
    BOOLEAN,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    Malformed,
    children,
    in_order,
    read_element,
)

Extensions = Mapping[str, x509.Extension[x509.ExtensionType]]
"""Decoded extensions by dotted OID."""

# AssertionError, LookupError and TypeError come out of its Python half.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    LookupError,
    RecursionError,
    TypeError,
    UnsupportedAlgorithm,
    ValueError,
    Warning,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
# OIDs of commonName, countryName and jurisdictionCountryName (RFC 5280 appendix A.1).
_BOUNDED = re.compile(
    rb"\x06(?:\x03\x55\x04[\x03\x06]|\x0b\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03)"
)
_COMMON_NAME = b"\x06\x03\x55\x04\x03"
_LONGEST_COMMON_NAME = 64
_COUNTRY_OCTETS = 2
_BMP_STRING = 0x1E
_LONG = 0x80
_TRUE = bytes((BOOLEAN, 1, 0xFF))
# cryptography takes bits without meaning, and sets in any order, for these.
_CANONICAL = frozenset(
    {
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.30",  # nameConstraints
    }
)


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Let cryptography read inside this block.

    Raises:
        Malformed: it could not; the text is one sentence about ``what``.
    """
    try:
        yield
    except x509.DuplicateExtension as twice:
        raise Malformed(f"{what} has the extension {twice.oid.dotted_string} twice") from None
    except _UNREADABLE as broken:
        raise Malformed(f"{what} cannot be read: {broken}") from None


def check_bounds(octets: bytes) -> None:
    """Look for common names and countries whose length X.520 does not allow.

    cryptography only warns of them, through the warnings of the whole process.

    Raises:
        Malformed: there is one.
    """
    for match in _BOUNDED.finditer(octets):
        value = read_element(octets, match.end(), len(octets))
        size = value.end - value.start
        if value.tag == _BMP_STRING:
            text = octets[value.start : value.end].decode("utf-16-be", errors="replace")
            size = len(text.encode("utf-8", errors="replace"))
        if match[0] == _COMMON_NAME and not 1 <= size <= _LONGEST_COMMON_NAME:
            raise Malformed(f"a common name of {size} octets; 1 to 64 are allowed")
        if match[0] != _COMMON_NAME and size != _COUNTRY_OCTETS:
            raise Malformed(f"a country of {size} octets; it has two letters")


def check_name(octets: bytes, name: Element) -> None:
    """Return when a Name's RDNs are sets in order, each of at least one attribute.

    Raises:
        Malformed: they are not.
    """
    for rdn in children(octets, name):
        attributes = children(octets, rdn) if rdn.tag == SET else []
        if not attributes or not in_order(octets, attributes):
            raise Malformed("a name with an RDN that is empty or not in DER's order")


def extension_values(
    octets: bytes, outer: Element, loaded: Extensions, wanted: Collection[str] = ()
) -> dict[str, bytes]:
    """Return the octets of the wanted extensions by OID, after comparing what was loaded.

    cryptography has read the list, so its lengths are sound.

    Raises:
        Malformed: a second reading finds other extensions, or one is not in its one encoding.
    """
    values: dict[str, bytes] = {}
    at = outer.start
    for oid, extension in loaded.items():
        start, end = _inside(octets, at)
        head = _extension_head(oid, critical=extension.critical)
        value_at, value_end = _inside(octets, start + len(head) - 1)
        if not octets.startswith(head, start) or value_end != end:
            raise Malformed(f"the extension {oid} is read in two ways")
        if oid in _CANONICAL and extension.value.public_bytes() != octets[value_at:end]:
            raise Malformed(f"the extension {oid} is not in its one encoding")
        if oid in wanted:
            values[oid] = octets[value_at:end]
        at = end
    if not loaded or at != outer.end:
        raise Malformed("a list of extensions that is empty, or read in two ways")
    return values


def _inside(octets: bytes, at: int) -> tuple[int, int]:
    size, start = octets[at + 1], at + 2
    if size >= _LONG:
        start += size & 0x7F
        size = int.from_bytes(octets[at + 2 : start], "big")
    return start, start + size


@lru_cache(maxsize=1024)
def _extension_head(oid: str, *, critical: bool) -> bytes:
    return writing.oid(oid) + (_TRUE if critical else b"") + bytes((OCTET_STRING,))


def by_oid(extensions: x509.Extensions) -> Extensions:
    """Return extensions by dotted OID in their order; cryptography has refused duplicates."""
    return {extension.oid.dotted_string: extension for extension in extensions}


def explicit(octets: bytes, outer: Element, tag: int = SEQUENCE) -> Element:
    """Return the one element inside an EXPLICIT tag.

    Raises:
        Malformed: there is something else.
    """
    inside = children(octets, outer)
    if [one.tag for one in inside] != [tag]:
        raise Malformed(f"one element was expected inside the tag at octet {outer.at}")
    return inside[0]
