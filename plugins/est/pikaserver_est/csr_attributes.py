"""What a CSR for a template should have in it: CsrAttrs (RFC 8951 section 3.5, RFC 9908)."""

from collections.abc import Iterator

from pikaserver.api.templates import Template
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.elements import children
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver_est.linking import OFF

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"  # noqa: S105 - an OID
TEMPLATE = "1.2.840.113549.1.9.16.2.61"
"""id-aa-certificationRequestInfoTemplate (RFC 9908 section 3.4)."""
EXTENSION_TEMPLATE = "1.2.840.113549.1.9.16.2.62"
"""id-aa-extensionReqTemplate: extensions of which some have no value yet."""

_IDENTIFIERS = {
    **{name: entry.identifier for name, entry in KEY_TYPES.items()},
    **{name: entry.identifier for name, entry in KEM_KEY_TYPES.items()},
}
_SUBJECT_ALT_NAME = "2.5.29.17"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_SUBJECT_ATTRIBUTES = {
    "CN": "2.5.4.3",
    "SN": "2.5.4.4",
    "serialNumber": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "street": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "title": "2.5.4.12",
    "GN": "2.5.4.42",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "emailAddress": "1.2.840.113549.1.9.1",
}
_UTF8_STRING = 0x0C
_PRINTABLE_STRING = 0x13
_IA5_STRING = 0x16
# RFC 5280 section 4.1.2.4 and appendix A.1; all others are UTF8String.
_STRINGS = {
    "serialNumber": _PRINTABLE_STRING,
    "C": _PRINTABLE_STRING,
    "DC": _IA5_STRING,
    "emailAddress": _IA5_STRING,
}


def csr_attributes(template: Template) -> bytes | None:
    """Return CsrAttrs for a template, ``None`` if it asks for nothing.

    After the single wishes, which every client understands, follows a template for the whole
    request (RFC 9908 section 3.4): clients that know it look at nothing else, and others pass
    over it.
    """
    wanted = single_wishes(template)
    if not wanted and not template.subject.fixed:
        return None
    whole = der.sequence(der.oid(TEMPLATE), der.set_of(request_template(template)))
    return der.sequence(*wanted, whole)


def single_wishes(template: Template) -> list[bytes]:
    """Return the keys that a template takes, and what the client has to supply.

    Several kinds of keys mean: any one of them.
    """
    wanted = [_key_attribute(name) for name in sorted(template.key_types) if name in _IDENTIFIERS]
    wanted += [der.oid(_SUBJECT_ATTRIBUTES[name]) for name in _to_supply(template)]
    if template.names_required:
        wanted.append(der.oid(_SUBJECT_ALT_NAME))
    if template.est.possession_linking != OFF:
        wanted.append(der.oid(CHALLENGE_PASSWORD))
    if template.usage.extended_key_usage:
        request = der.sequence(_usage_extension(template))
        wanted.append(der.sequence(der.oid(EXTENSION_REQUEST), der.set_of(request)))
    return wanted


def request_template(template: Template) -> bytes:
    """Return CertificationRequestInfoTemplate (RFC 9908 section 3.4).

    What the client has to fill in stands there without a value; the rest is what the
    certificate will hold.
    """
    return der.sequence(
        der.integer(0), _subject(template), _public_key(template), der.context(1, _wishes(template))
    )


def _to_supply(template: Template) -> Iterator[str]:
    """Yield the attributes of the subject that have to come from the client."""
    fixed = {name for name, _ in template.subject.fixed}
    for name in template.subject.required:
        if name in _SUBJECT_ATTRIBUTES and name not in fixed:
            yield name


def _key_attribute(key_type: str) -> bytes:
    """Return the algorithm's OID, with what RFC 9908 section 3.2 says of curve and size."""
    algorithm, *parameters = _algorithm(key_type)
    if key_type.startswith("rsa-"):
        parameters = [der.integer(_rsa_bits(key_type))]
    if not parameters:
        return algorithm
    return der.sequence(algorithm, der.set_of(*parameters))


def _algorithm(key_type: str) -> list[bytes]:
    identifier = _IDENTIFIERS[key_type]
    return [identifier[part.at : part.end] for part in children(identifier)]


def _rsa_bits(key_type: str) -> int:
    return int(key_type.removeprefix("rsa-"))


def _subject(template: Template) -> bytes:
    """Return NameTemplate: attributes without a value are the client's to fill in."""
    names = [
        der.set_of(der.sequence(der.oid(_SUBJECT_ATTRIBUTES[name]), _string(name, value)))
        for name, value in template.subject.fixed
        if name in _SUBJECT_ATTRIBUTES
    ]
    names += [
        der.set_of(der.sequence(der.oid(_SUBJECT_ATTRIBUTES[name])))
        for name in _to_supply(template)
    ]
    return der.sequence(*names) if names else b""


def _string(name: str, value: str) -> bytes:
    return der.element(_STRINGS.get(name, _UTF8_STRING), value.encode())


def _public_key(template: Template) -> bytes:
    """Return SubjectPublicKeyInfoTemplate where there is no choice of keys.

    The size of an RSA key is told by a modulus of that size, which is nobody's.
    """
    kinds = [name for name in template.key_types if name in _IDENTIFIERS]
    if len(kinds) != 1:
        return b""
    [kind] = kinds
    key = b""
    if kind.startswith("rsa-"):
        modulus = (1 << _rsa_bits(kind)) - 1
        key = der.bit_string(der.sequence(der.integer(modulus), der.integer(65537)))
    return der.context(0, _IDENTIFIERS[kind] + key)


def _wishes(template: Template) -> bytes:
    """Return the attributes: extensions, and the password that ties a request to its session."""
    extensions = []
    if template.names_required:
        extensions.append(der.sequence(der.oid(_SUBJECT_ALT_NAME)))
    if template.usage.extended_key_usage:
        extensions.append(_usage_extension(template))
    # Only in the second kind may an extension stand without a value.
    kind = EXTENSION_TEMPLATE if template.names_required else EXTENSION_REQUEST
    found = []
    if extensions:
        found.append(der.sequence(der.oid(kind), der.set_of(der.sequence(*extensions))))
    if template.est.possession_linking != OFF:
        found.append(der.sequence(der.oid(CHALLENGE_PASSWORD), der.set_of()))
    return b"".join(sorted(found))


def _usage_extension(template: Template) -> bytes:
    usages = (der.oid(usage) for usage in template.usage.extended_key_usage)
    critical = [der.boolean(value=True)] if template.usage.extended_key_usage_critical else []
    value = der.octet_string(der.sequence(*usages))
    return der.sequence(der.oid(_EXTENDED_KEY_USAGE), *critical, value)
