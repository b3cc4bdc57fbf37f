"""Attributes of PKCS#10 requests (RFC 2986 section 4.1) that only some protocols look at."""

from collections.abc import Iterator

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    OCTET_STRING,
    OID,
    SET,
    children,
    dotted,
    expect,
    members,
    read_element,
)
from pikaserver.asn1.identifiers import read_oid
from pikaserver.asn1.refusing import refusing

SMIME_CAPABILITIES = "1.2.840.113549.1.9.15"
DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.37"
"""id-aa-decryptKeyID (RFC 4108 section 2.2.5): names a symmetric key."""
ASYMMETRIC_DECRYPT_KEY_ID = "1.2.840.113549.1.9.16.2.54"
"""id-aa-asymmDecryptKeyID (RFC 7030 section 4.4.1.2): names a key pair."""

_ATTRIBUTES = CONTEXT | CONSTRUCTED


def attribute_value(csr: CertificationRequest, oid: str) -> bytes | None:
    """Return the one value (DER) of an attribute of a request; ``None`` where it has none.

    Raises:
        MalformedRequest: it is there twice, or has not one value.
    """
    with refusing("request's attributes"):
        found = [value for name, value in _attributes(csr.tbs) if name == oid]
    if len(found) > 1:
        raise MalformedRequest(f"the attribute {oid} is there twice")
    return found[0] if found else None


def key_name(csr: CertificationRequest, oid: str) -> bytes | None:
    """Return the name of a key that an attribute holds; ``None`` where there is none.

    Raises:
        MalformedRequest: it is no OCTET STRING.
    """
    value = attribute_value(csr, oid)
    if value is None:
        return None
    return expect(value, read_element(value, 0), OCTET_STRING, "the name of a key")


def capabilities(csr: CertificationRequest) -> tuple[str, ...]:
    """Return the algorithms that a request's SMIMECapabilities name (RFC 8551 section 2.5.2)."""
    value = attribute_value(csr, SMIME_CAPABILITIES)
    if value is None:
        return ()
    with refusing("S/MIME capabilities"):
        return tuple(read_oid(value[one.at : one.end]) for one in children(value))


def _attributes(tbs: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name of each attribute with its value."""
    for field in children(tbs):
        if field.tag != _ATTRIBUTES:
            continue
        for attribute in children(tbs, field.at):
            kind, values = members(tbs, "an attribute", attribute.at)
            name = dotted(expect(tbs, kind, OID, "an attribute's OID"))
            expect(tbs, values, SET, "an attribute's values")
            (value,) = children(tbs, values.at)
            yield name, tbs[value.at : value.end]
