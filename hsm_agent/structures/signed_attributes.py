"""CMS signedAttrs (RFC 5652 section 5.4), as the SET OF that is signed."""

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_agent.structures import der
from hsm_agent.structures.der import OCTET_STRING, OID, SET, Element, Malformed, encoded
from hsm_agent.structures.kinds import CMS_ATTRS

LIMIT_OCTETS = 65_536
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
DIGESTS = {32: "sha256", 48: "sha384", 64: "sha512"}
"""The hashes that digests are made with, by their octets."""


@dataclass(frozen=True, slots=True)
class SignedAttributes:
    """Attributes that are to be signed; ``content_type`` is a dotted OID.

    ``attributes`` holds the values of each, in DER, by dotted OID.
    """

    content_type: str
    message_digest: bytes
    attributes: Mapping[str, tuple[bytes, ...]]
    kind: str = CMS_ATTRS


def read_signed_attributes(tbs: bytes) -> SignedAttributes:
    """Read signedAttrs.

    Raises:
        Malformed: it is too large, not DER in order, an attribute is there twice or without a
            value, or one of the two that must be there (section 11) is not.
    """
    if len(tbs) > LIMIT_OCTETS:
        raise Malformed(f"signed attributes of more than {LIMIT_OCTETS} octets")
    outer = der.whole(tbs, "signed attributes")
    der.expect(tbs, outer, SET, "a SET OF signed attributes")
    der.check(tbs, outer)
    found = der.children(tbs, outer)
    if not der.in_order(tbs, found):
        raise Malformed("not DER: signed attributes that are not in order")
    attributes: dict[str, tuple[bytes, ...]] = {}
    for attribute in found:
        name, values = _read_attribute(tbs, attribute)
        if name in attributes:
            raise Malformed(f"the attribute {name} is there twice")
        attributes[name] = values
    content_type = der.dotted(_single(attributes, CONTENT_TYPE, OID))
    digest = _single(attributes, MESSAGE_DIGEST, OCTET_STRING)
    if len(digest) not in DIGESTS:
        raise Malformed(f"a messageDigest of {len(digest)} octets; 32, 48 or 64 are allowed")
    return SignedAttributes(content_type, digest, attributes)


def _read_attribute(tbs: bytes, found: Element) -> tuple[str, tuple[bytes, ...]]:
    parts = der.fields(tbs, found, "an attribute", OID, SET)
    values = der.children(tbs, parts[1])
    if len(parts) != 2 or not values or not der.in_order(tbs, values):  # noqa: PLR2004 - type and values
        raise Malformed("an attribute has a type, and at least one value in DER's order")
    name = der.object_identifier(tbs, parts[0], "an attribute's type")
    return name, tuple(encoded(tbs, value) for value in values)


def _single(attributes: Mapping[str, tuple[bytes, ...]], name: str, tag: int) -> bytes:
    values = attributes.get(name, ())
    if len(values) != 1:
        raise Malformed(f"the attribute {name} has to be there with one value")
    return der.expect(values[0], der.whole(values[0], "attribute"), tag, f"the value of {name}")
