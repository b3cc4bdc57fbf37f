"""The attributes of a subject: short names, OIDs, lengths and alphabets (RFC 5280 appendix A)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.naming import forms as name_forms
from pikaserver.authority.naming.text import check_text

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute type; ``limit`` counts characters, ``form`` names its alphabet."""

    short: str
    oid: x509.ObjectIdentifier
    limit: int
    form: str = "utf8"
    repeatable: bool = False


# Lengths are the upper bounds of RFC 5280 appendix A.1, or X.520's where the RFC has none.
_TABLE = (
    Attribute("DC", NameOID.DOMAIN_COMPONENT, 63, "label", repeatable=True),
    Attribute("C", NameOID.COUNTRY_NAME, 2, "country"),
    Attribute("ST", NameOID.STATE_OR_PROVINCE_NAME, 128),
    Attribute("L", NameOID.LOCALITY_NAME, 128),
    Attribute("street", NameOID.STREET_ADDRESS, 128),
    Attribute("postalCode", NameOID.POSTAL_CODE, 40),
    Attribute("O", NameOID.ORGANIZATION_NAME, 64),
    Attribute("organizationIdentifier", NameOID.ORGANIZATION_IDENTIFIER, 64),
    Attribute("OU", NameOID.ORGANIZATIONAL_UNIT_NAME, 64, repeatable=True),
    Attribute("businessCategory", NameOID.BUSINESS_CATEGORY, 128),
    Attribute("title", NameOID.TITLE, 64),
    Attribute("SN", NameOID.SURNAME, 64),
    Attribute("GN", NameOID.GIVEN_NAME, 64),
    Attribute("initials", NameOID.INITIALS, 64),
    Attribute("generationQualifier", NameOID.GENERATION_QUALIFIER, 64),
    Attribute("pseudonym", NameOID.PSEUDONYM, 128),
    Attribute("dnQualifier", NameOID.DN_QUALIFIER, 64, "printable"),
    Attribute("serialNumber", NameOID.SERIAL_NUMBER, 64, "printable"),
    Attribute("UID", NameOID.USER_ID, 256),
    Attribute("CN", NameOID.COMMON_NAME, 64),
    Attribute("emailAddress", NameOID.EMAIL_ADDRESS, 255, "email"),
)

ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({entry.short: entry for entry in _TABLE})
"""The attributes that templates and authorities can use, by short name."""

_BY_OID = {entry.oid: entry for entry in _TABLE}


def attribute_of(oid: x509.ObjectIdentifier) -> Attribute | None:
    """Return what we know of an attribute type, ``None`` for one that we do not use."""
    return _BY_OID.get(oid)


def short_name(oid: x509.ObjectIdentifier) -> str:
    """Return an attribute type's short name, or its dotted OID."""
    known = _BY_OID.get(oid)
    return oid.dotted_string if known is None else known.short


def check_value(attribute: Attribute, value: str) -> None:
    """Return when a value is fit for its attribute.

    Raises:
        RequestRejected: hidden or look-alike characters, too long, or outside its alphabet.
    """
    check_text(value)
    # cryptography counts octets of UTF-8, the RFC characters: the narrower one decides.
    octets = len(value.encode("utf-8"))
    if octets > attribute.limit:
        raise RequestRejected(
            f"it has {octets} octets; {attribute.short} has at most {attribute.limit}"
        )
    if attribute.form == "country" and not _COUNTRY.fullmatch(value):
        raise RequestRejected("a country is two capital letters of ISO 3166, like CH")
    if attribute.form == "printable" and not _PRINTABLE.fullmatch(value):
        raise RequestRejected(
            f"{attribute.short} takes letters, digits, space and '()+,-./:=? only (PrintableString)"
        )
    if attribute.form == "label":
        name_forms.dns_name(value, single_labels=True)
    if attribute.form == "email":
        name_forms.email_name(value)


def name_attribute(short: str, value: str) -> x509.NameAttribute[str]:
    """Return the attribute in the string type that RFC 5280 asks for.

    PrintableString for countries and serial numbers, IA5String for domain components and
    e-mail addresses, UTF8String for all others, whatever type the requester used.
    """
    return x509.NameAttribute(ATTRIBUTES[short].oid, value)
