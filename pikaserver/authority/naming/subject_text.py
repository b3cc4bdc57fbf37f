"""Subjects as operators type them: RFC 4514, or openssl's form with slashes."""

import re

from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.naming.attributes import ATTRIBUTES
from pikaserver.authority.naming.subjects import check_subject

# Other spellings in use: RFC 4519's long names, and openssl's and Windows' short ones.
_ALIASES = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "E": "emailAddress",
    "email": "emailAddress",
    "givenName": "GN",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "S": "ST",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "surname": "SN",
    "userId": "UID",
}
_OIDS = {
    spelling: ATTRIBUTES[short].oid
    for written, short in [*_ALIASES.items(), *((short, short) for short in ATTRIBUTES)]
    for spelling in (written.upper(), written.lower(), written)
}
_SHORT = {attribute.oid: short for short, attribute in ATTRIBUTES.items()}
_BLANKS = re.compile(r"(?<!\\),\s+")
_SLASH = re.compile(r"/(?=[A-Za-z]+=)")


def read_subject(text: str) -> x509.Name:
    r"""Read a distinguished name as RFC 4514 writes it, the most specific part first.

    ``CN=Root,O=Acme,C=CH`` and openssl's ``/C=CH/O=Acme/CN=Root`` are the same name.  Names
    of attributes count in any case; commas within a value are written ``\,``.

    Raises:
        RequestRejected: it cannot be read, or has an attribute or a value that is not fit.
    """
    try:
        name = (
            _read_slashed(text)
            if text.startswith("/")
            else x509.Name.from_rfc4514_string(_BLANKS.sub(",", text.strip()), _OIDS)
        )
    except (ValueError, KeyError) as error:
        detail = f" ({error})" if isinstance(error, ValueError) and str(error) else ""
        raise RequestRejected(
            f"{text!a} is not a subject like 'CN=Example Root,O=Example,C=CH'; a comma within a "
            f"value is written '\\,'; attributes are: {', '.join(ATTRIBUTES)}{detail}"
        ) from error
    check_subject(name, DecisionTrace())
    return name


def write_subject(name: x509.Name) -> str:
    """Return a name in RFC 4514's form, with a word for every attribute that we know."""
    return name.rfc4514_string(_SHORT)


def _read_slashed(text: str) -> x509.Name:
    pairs = (part.partition("=") for part in _SLASH.split(text)[1:])
    return x509.Name([x509.NameAttribute(_OIDS[name], value) for name, _, value in pairs])
