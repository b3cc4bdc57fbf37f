"""Names as one line of text, and the bounds that X.520 sets to their attributes."""

import re

from cryptography import x509

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import read_element

UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""Microsoft's userPrincipalName, an otherName whose value is a UTF8String."""

_UTF8_STRING = 0x0C
_BMP_STRING = 0x1E

# OIDs of commonName, countryName and jurisdictionCountryName with their bounds
# (RFC 5280 appendix A.1: ub-common-name, ub-country-name-alpha-length).
_BOUNDED = re.compile(
    rb"\x06(?:\x03\x55\x04[\x03\x06]|\x0b\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03)"
)
_COMMON_NAME = b"\x06\x03\x55\x04\x03"


def general_name_text(name: x509.GeneralName) -> str:
    """Return a GeneralName (RFC 5280 section 4.2.1.6) as ``dns:www.example``.

    The kinds are dns, ip, email, uri, upn, dirname (RFC 4514), rid, and ``other:<oid>``,
    whose value is not shown.
    """
    if isinstance(name, x509.OtherName):
        text = upn_text(name)
        return f"other:{name.type_id.dotted_string}" if text is None else f"upn:{text}"
    if isinstance(name, x509.DirectoryName):
        return f"dirname:{name.value.rfc4514_string()}"
    if isinstance(name, x509.RegisteredID):
        return f"rid:{name.value.dotted_string}"
    return f"{_KINDS.get(type(name), 'other')}:{name.value}"


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "uri",
}


def upn_text(name: x509.OtherName) -> str | None:
    """Return a userPrincipalName's text, ``None`` for other otherNames and broken ones."""
    if name.type_id != UPN:
        return None
    try:
        value = read_element(name.value, 0)
        if value.tag != _UTF8_STRING or value.end != len(name.value):
            return None
        return name.value[value.start : value.end].decode("utf-8")
    except (MalformedRequest, UnicodeDecodeError):
        return None


def check_bounds(octets: bytes) -> None:
    """Look through DER for attributes that are longer or shorter than X.520 allows.

    cryptography only warns of them, through the warnings of the whole process.

    Raises:
        MalformedRequest: a commonName has not 1 to 64 octets, or a country not two.
    """
    for match in _BOUNDED.finditer(octets):
        value = read_element(octets, match.end())
        size = _utf8_octets(value.tag, octets[value.start : value.end])
        if match[0] == _COMMON_NAME and not 1 <= size <= 64:  # noqa: PLR2004 - ub-common-name
            raise MalformedRequest(f"a common name of {size} octets; 1 to 64 are allowed")
        if match[0] != _COMMON_NAME and size != 2:  # noqa: PLR2004 - ISO 3166 has two letters
            raise MalformedRequest(f"a country name of {size} octets; it has two letters")


def _utf8_octets(tag: int, value: bytes) -> int:
    if tag != _BMP_STRING:
        return len(value)
    return len(value.decode("utf-16-be", errors="replace").encode("utf-8", errors="replace"))
