"""From checked names, key and rules to the certificate's builder (RFC 5280 section 4)."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import ExtensionRules, UsageRules
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import builder_public_key
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.naming.constraints import name_constraints
from pikaserver.authority.templates.usages import key_usage
from pikaserver.authority.urls import Pointers, point

Extensions = list[tuple[x509.ExtensionType, bool]]


@dataclass(frozen=True, slots=True)
class Content:
    """What the certificate shall say; names and key have passed their policies."""

    subject: x509.Name
    names: tuple[x509.GeneralName, ...]
    public_key: bytes
    not_before: datetime
    not_after: datetime


def usage_extensions(usage: UsageRules, public_key: bytes) -> Extensions:
    """Return basic constraints, key usage, extended key usage and name constraints."""
    found: Extensions = [(x509.BasicConstraints(usage.ca, usage.path_length), True)]
    bits = key_usage(usage.key_usage, key_type(public_key))
    if bits is not None:
        found.append((bits, True))
    elif usage.key_usage:
        raise RequestRejected(
            f"a key of type {key_type(public_key)} cannot serve {', '.join(usage.key_usage)}"
        )
    if usage.extended_key_usage:
        purposes = [x509.ObjectIdentifier(oid) for oid in usage.extended_key_usage]
        found.append((x509.ExtendedKeyUsage(purposes), usage.extended_key_usage_critical))
    constraints = name_constraints(usage)
    if constraints is not None:
        found.append((constraints.value, constraints.critical))
    return found


def pointer_extensions(
    rules: ExtensionRules, pointers: Pointers, authority_cps: str | None
) -> Extensions:
    """Return AIA, CRL distribution points, policies and the switches of a template."""
    found: Extensions = []
    issuer = (rules.custom_issuer_urls or pointers.issuer) if rules.issuer_url else ()
    ocsp = (rules.custom_ocsp_urls or pointers.ocsp) if rules.ocsp_url else ()
    crl = (rules.custom_crl_urls or pointers.crl) if rules.crl_url else ()
    access = [(AuthorityInformationAccessOID.OCSP, url) for url in ocsp]
    access += [(AuthorityInformationAccessOID.CA_ISSUERS, url) for url in issuer]
    if access:
        descriptions = [
            x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for oid, url in access
        ]
        found.append((x509.AuthorityInformationAccess(descriptions), False))
    if crl:
        found.append((x509.CRLDistributionPoints([point(crl)]), False))
    if rules.crl_url and pointers.delta and not rules.custom_crl_urls:
        found.append((x509.FreshestCRL([point(pointers.delta)]), False))
    found.extend(_policies(rules, rules.cps_url or authority_cps))
    if rules.must_staple:
        found.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    if rules.ocsp_no_check:
        found.append((x509.OCSPNoCheck(), False))
    return found


def _policies(rules: ExtensionRules, cps: str | None) -> Extensions:
    if not rules.policies:
        return []
    qualifiers: list[str | x509.UserNotice] | None = [cps] if cps else None
    policies = [
        x509.PolicyInformation(x509.ObjectIdentifier(oid), qualifiers) for oid in rules.policies
    ]
    return [(x509.CertificatePolicies(policies), False)]


def certificate_builder(
    content: Content,
    serial: int,
    issuer: IssuingKey | None,
    extensions: Extensions,
) -> x509.CertificateBuilder:
    """Put a certificate together; without an issuer it is self-signed.

    Raises:
        RequestRejected: two parts of the house want the same extension.
    """
    identifier = key_identifier(content.public_key)
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .subject_name(content.subject)
        .issuer_name(content.subject if issuer is None else issuer.certificate.subject)
        .not_valid_before(content.not_before)
        .not_valid_after(content.not_after)
        .public_key(builder_public_key(content.public_key))
    )
    own: Extensions = [(x509.SubjectKeyIdentifier(identifier), False)]
    if issuer is not None:
        own.append((x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None), False))
    if content.names:
        # An empty subject makes the names the only identity (RFC 5280 section 4.2.1.6).
        own.append((x509.SubjectAlternativeName(content.names), not list(content.subject)))
    for value, critical in own + extensions:
        try:
            builder = builder.add_extension(value, critical=critical)
        except ValueError as error:
            raise RequestRejected(
                f"two parts of the server want the extension {value.oid.dotted_string}"
            ) from error
    return builder
