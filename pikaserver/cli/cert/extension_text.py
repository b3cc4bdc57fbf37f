"""Extensions of certificates and requests in words, one line each."""

import functools
from collections.abc import Iterable, Iterator
from contextlib import suppress

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.names import general_name_text
from pikaserver.asn1.related_certificates import RELATED_CERTIFICATE, read_related_extension
from pikaserver.authority.templates.usages import KEY_USAGES, extended_key_usage_name
from pikaserver.cli.output import Record

_SHOWN_OCTETS = 40
_ACCESS = {
    AuthorityInformationAccessOID.OCSP: "OCSP",
    AuthorityInformationAccessOID.CA_ISSUERS: "issuer",
}

Words = tuple[str, str]
"""What an extension is called, and what it says."""


def extension_texts(extensions: Iterable[x509.Extension[x509.ExtensionType]]) -> Record:
    """Return what every extension says by its name; unknown ones by OID and octets."""
    found = {}
    for extension in extensions:
        name, text = _words(extension.value)
        found[name] = f"{text} (critical)" if extension.critical else text
    return found


@functools.singledispatch
def _words(value: x509.ExtensionType) -> Words:
    return value.oid.dotted_string, _shown(value.public_bytes())


def _shown(octets: bytes) -> str:
    more = "..." if len(octets) > _SHOWN_OCTETS else ""
    return octets[:_SHOWN_OCTETS].hex() + more


@_words.register
def _(value: x509.UnrecognizedExtension) -> Words:
    if value.oid == RELATED_CERTIFICATE:
        with suppress(MalformedRequest):
            bound = read_related_extension(value.value)
            return "related_certificate", f"{bound.hash} {bound.value.hex()}"
    return value.oid.dotted_string, _shown(value.value)


@_words.register
def _(value: x509.BasicConstraints) -> Words:
    if not value.ca:
        return "basic_constraints", "not a CA"
    if value.path_length is None:
        return "basic_constraints", "a CA"
    return "basic_constraints", f"a CA, path length {value.path_length}"


@_words.register
def _(value: x509.KeyUsage) -> Words:
    # cryptography refuses to tell these two where there is no keyAgreement.
    only = ("encipher_only", "decipher_only")
    usages = (
        name
        for name, field in KEY_USAGES.items()
        if (value.key_agreement or field not in only) and getattr(value, field)
    )
    return "key_usage", ", ".join(usages)


@_words.register
def _(value: x509.ExtendedKeyUsage) -> Words:
    return "extended_key_usage", ", ".join(
        extended_key_usage_name(oid.dotted_string) for oid in value
    )


@_words.register
def _(value: x509.SubjectAlternativeName) -> Words:
    return "subject_alternative_names", _names(value)


@_words.register
def _(value: x509.IssuerAlternativeName) -> Words:
    return "issuer_alternative_names", _names(value)


@_words.register
def _(value: x509.SubjectKeyIdentifier) -> Words:
    return "subject_key_identifier", value.digest.hex()


@_words.register
def _(value: x509.AuthorityKeyIdentifier) -> Words:
    return "authority_key_identifier", (value.key_identifier or b"").hex()


@_words.register
def _(value: x509.AuthorityInformationAccess) -> Words:
    places = (
        f"{_ACCESS.get(one.access_method, one.access_method.dotted_string)} at "
        f"{one.access_location.value}"
        for one in value
    )
    return "authority_information_access", ", ".join(places)


@_words.register
def _(value: x509.CRLDistributionPoints) -> Words:
    return "crl_distribution_points", ", ".join(_points(value))


@_words.register
def _(value: x509.CertificatePolicies) -> Words:
    return "certificate_policies", ", ".join(map(_policy, value))


@_words.register
def _(value: x509.NameConstraints) -> Words:
    permitted = _names(value.permitted_subtrees or ())
    excluded = _names(value.excluded_subtrees or ())
    parts = [f"permitted {permitted}"] if permitted else []
    return "name_constraints", "; ".join(parts + ([f"excluded {excluded}"] if excluded else []))


@_words.register
def _(value: x509.TLSFeature) -> Words:
    return "tls_feature", ", ".join(
        "must-staple" if feature is x509.TLSFeatureType.status_request else feature.name
        for feature in value
    )


@_words.register
def _(_value: x509.OCSPNoCheck) -> Words:
    return "ocsp_no_check", "its own status is not asked for"


def _names(names: Iterable[x509.GeneralName]) -> str:
    return ", ".join(map(general_name_text, names))


def _points(points: x509.CRLDistributionPoints) -> Iterator[str]:
    for point in points:
        if point.full_name:
            yield _names(point.full_name).replace("uri:", "")
        elif point.relative_name:
            yield point.relative_name.rfc4514_string()


def _policy(policy: x509.PolicyInformation) -> str:
    pages = [text for text in policy.policy_qualifiers or () if isinstance(text, str)]
    oid = policy.policy_identifier.dotted_string
    return f"{oid} (see {', '.join(pages)})" if pages else oid
